// Command gorm uses GORM with its MySQL driver: it migrates a table of its own, and writes over two servers.
package main

import (
	"errors"
	"os"
	"strings"
	"time"

	"gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"github.com/xaproxy/xaproxy/tests/clients/go/check"
)

// Author and Book are tables that GORM makes.
type (
	Author struct {
		ID    uint
		Name  string `gorm:"size:100;uniqueIndex"`
		Born  *time.Time
		Books []Book
	}
	Book struct {
		ID       uint
		AuthorID uint
		Title    string
		Text     string `gorm:"type:longtext"`
	}
	// Account is the sharded table.
	Account struct {
		ID    int64 `gorm:"autoIncrement:false"`
		V     int
		Owner string
	}
)

func main() {
	plain := open(os.Getenv("DB_PLAIN"))
	library(plain)
	accounts(open(os.Getenv("DB_SHARDED")))
	check.Done()
}

func open(schema string) *gorm.DB {
	db, err := gorm.Open(mysql.Open(check.DSN(schema, "charset=utf8mb4")), &gorm.Config{
		PrepareStmt: true, TranslateError: true, Logger: logger.Discard,
	})
	check.OK("open", err)
	return db
}

func library(db *gorm.DB) {
	check.OK("drop", db.Migrator().DropTable(&Book{}, &Author{}))
	check.OK("migrate", db.AutoMigrate(&Author{}, &Book{}))
	check.OK("migrate again", db.AutoMigrate(&Author{}, &Book{}))
	check.Equal("has table", db.Migrator().HasTable(&Book{}), true)
	check.Equal("has index", db.Migrator().HasIndex(&Author{}, "Name"), true)

	born := time.Date(1920, 1, 2, 3, 4, 5, 678000000, time.UTC)
	asimov := Author{Name: "Ásimov 🚀", Born: &born, Books: []Book{{Title: "One"}, {Title: "Two"}}}
	check.OK("create", db.Create(&asimov).Error)
	check.Equal("id", asimov.ID > 0 && asimov.Books[1].ID > asimov.Books[0].ID, true)

	var read Author
	check.OK("first", db.Preload("Books").Where("name = ?", "Ásimov 🚀").First(&read).Error)
	check.Equal("born", read.Born.UTC(), born)
	check.Equal("books", len(read.Books), 2)
	check.Equal("title", read.Books[1].Title, "Two")

	err := db.Create(&Author{Name: "Ásimov 🚀"}).Error
	check.Equal("duplicate", errors.Is(err, gorm.ErrDuplicatedKey), true)
	check.OK("upsert", db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&Author{ID: asimov.ID, Name: "Isaac"}).Error)
	check.OK("first", db.First(&read, asimov.ID).Error)
	check.Equal("upserted", read.Name, "Isaac")

	large := strings.Repeat("0123456789ä", 500_000)
	check.OK("large", db.Model(&asimov.Books[0]).Update("text", large).Error)
	var book Book
	check.OK("large", db.First(&book, asimov.Books[0].ID).Error)
	check.Equal("large", book.Text == large, true)

	err = db.Transaction(func(tx *gorm.DB) error {
		check.OK("delete", tx.Where("author_id = ?", asimov.ID).Delete(&Book{}).Error)
		nested := tx.Transaction(func(inner *gorm.DB) error {
			check.OK("insert", inner.Create(&Author{Name: "Nobody"}).Error)
			return errors.New("back to the savepoint")
		})
		check.Equal("nested", nested != nil, true)
		return nil
	})
	check.OK("transaction", err)
	var books, authors int64
	check.OK("count", db.Model(&Book{}).Count(&books).Error)
	check.OK("count", db.Model(&Author{}).Count(&authors).Error)
	check.Equal("books", books, int64(0))
	check.Equal("authors", authors, int64(1))
}

func accounts(db *gorm.DB) {
	base := check.Base()
	wrong := errors.New("wrong")
	for i, outcome := range []error{nil, wrong} {
		first := base + 2*int64(i)
		err := db.Transaction(func(tx *gorm.DB) error {
			check.OK("insert", tx.Create([]Account{{first, 10, "gorm"}, {first + 1, 19, "gorm"}}).Error)
			check.OK("update", tx.Model(&Account{ID: first + 1}).Update("v", gorm.Expr("v + ?", 1)).Error)
			check.Equal("in transaction", sum(tx, first), 30)
			return outcome
		})
		check.Equal("outcome", err, outcome)
		check.Equal("after transaction", sum(db, first), 30*(1-i))
	}
}

func sum(db *gorm.DB, first int64) (total int) {
	var found []Account
	check.OK("find", db.Where("id IN ?", []int64{first, first + 1}).Find(&found).Error)
	for _, a := range found {
		total += a.V
	}
	return total
}
