"""SQLAlchemy's ORM over PyMySQL against Stele: tables made, reflected and dropped, and sessions; see stack.go for the contract of these
scripts."""
import datetime
import decimal
import enum
import os
import traceback

from sqlalchemy import (JSON, BigInteger, CheckConstraint, Column, DateTime, Enum, ForeignKey, Integer, LargeBinary, MetaData, Numeric, String,
                        Table, UniqueConstraint, create_engine, func, inspect, select, text)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session, declarative_base, relationship

DB = "everyday_orm"


def engine(database=None):
    url = URL.create("mysql+pymysql", os.environ["STELE_USER"], os.environ["STELE_PASSWORD"] or None, os.environ["STELE_HOST"],
                     int(os.environ["STELE_PORT"]), database, {"charset": "utf8mb4"})
    args = {"ssl": {"check_hostname": False}} if os.environ.get("STELE_TLS") else {}
    # Nothing checks foreign keys: whoever wants the tables of such a model says that definitions are left out.
    return create_engine(url, connect_args=args | {"init_command": "SET foreign_key_definitions = LEAVE_OUT"})


class Colour(enum.Enum):
    red = 1
    green = 2


Base = declarative_base()
written = Table("written", Base.metadata, Column("author_id", ForeignKey("authors.id"), primary_key=True),
                Column("book_id", ForeignKey("books.id"), primary_key=True))


class Author(Base):
    __tablename__ = "authors"
    id = Column(Integer, primary_key=True)
    name = Column(String(50), nullable=False, unique=True, comment="it's a name")
    colour = Column(Enum(Colour), server_default="red", nullable=False)
    made = Column(DateTime, server_default=func.now())
    born = Column(mysql.DATETIME(fsp=6))
    worth = Column(Numeric(12, 3), server_default="1.500")
    big = Column(BigInteger, server_default="7", index=True)
    more = Column(JSON)
    raw = Column(LargeBinary)
    books = relationship("Book", secondary=written, back_populates="authors")
    notes = relationship("Note", cascade="all, delete-orphan")
    __table_args__ = (CheckConstraint("big > 0", name="big_ok"), {"mysql_engine": "InnoDB", "comment": "who writes"})


class Book(Base):
    __tablename__ = "books"
    id = Column(Integer, primary_key=True)
    isbn = Column(Integer)
    authors = relationship("Author", secondary=written, back_populates="books")
    __table_args__ = (UniqueConstraint("isbn", name="one_isbn"),)


class Note(Base):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    author_id = Column(Integer, ForeignKey("authors.id", ondelete="CASCADE"))


def create_twice(e):
    Base.metadata.create_all(e)
    Base.metadata.create_all(e)


def reflect(e):
    found = MetaData()
    found.reflect(e)
    assert set(found.tables) == {"authors", "books", "written", "notes"}, found.tables.keys()
    i = inspect(e)
    assert [c["name"] for c in i.get_check_constraints("authors")] == ["big_ok"]
    assert i.get_table_comment("authors") == {"text": "who writes"}
    assert {u["name"] for u in i.get_unique_constraints("books")} == {"one_isbn"}
    assert i.get_pk_constraint("written")["constrained_columns"] == ["author_id", "book_id"]


def objects(e):
    born = datetime.datetime(1980, 1, 2, 3, 4, 5, 678901)
    with Session(e) as s:
        a = Author(name="Ann", more={"k": [1, "ü"]}, raw=b"\0\1", born=born, notes=[Note(), Note()], books=[Book(isbn=1), Book(isbn=2)])
        s.add(a)
        s.commit()
        assert (a.colour, a.worth, a.big) == (Colour.red, decimal.Decimal("1.5"), 7)
        assert (a.more, a.raw, a.born) == ({"k": [1, "ü"]}, b"\0\1", born)
        s.execute(mysql.insert(Book).values(isbn=1).on_duplicate_key_update(isbn=9))
        s.commit()
        assert sorted(s.scalars(select(Book.isbn))) == [2, 9]


def savepoints(e):
    with Session(e) as s:
        try:
            with s.begin_nested():
                s.add(Author(name="Ann"))
                s.flush()
            raise AssertionError("a second Ann")
        except IntegrityError:
            pass
        with s.begin_nested():
            s.add(Author(name="Bob"))
        s.commit()
        assert s.query(Author).count() == 2


def locks(e):
    with Session(e) as s:
        assert s.query(Author).filter_by(name="Ann").with_for_update().one().id
        assert len(s.query(Author).with_for_update(nowait=True).all()) == 2


def cascade(e):
    with Session(e) as s:
        s.delete(s.query(Author).filter_by(name="Ann").one())
        s.commit()
        assert s.query(Note).count() == 0
        assert s.execute(select(func.count()).select_from(written)).scalar() == 0


def drop_all(e):
    Base.metadata.drop_all(e)
    assert inspect(e).get_table_names() == []


def main():
    server = engine()
    with server.begin() as c:
        c.execute(text("SELECT 1"))
        if os.environ.get("STELE_LOGIN_ONLY"):
            print("ok")
            return
        c.execute(text(f"DROP DATABASE IF EXISTS {DB}"))
        c.execute(text(f"CREATE DATABASE {DB}"))
    e = engine(DB)
    for case in (create_twice, reflect, objects, savepoints, locks, cascade, drop_all):
        try:
            case(e)
            print(f"pass {case.__name__}", flush=True)
        except (SQLAlchemyError, AssertionError) as x:  # every case is told
            at = traceback.extract_tb(x.__traceback__)[1]
            print(f"FAIL {case.__name__}: line {at.lineno}: {type(x).__name__}: {x}".replace("\n", " "), flush=True)
    with server.begin() as c:
        c.execute(text(f"DROP DATABASE {DB}"))
    print("ok")


main()
