"""The file under a persistent chain: what is kept in memory of it is never older than the file."""

from __future__ import annotations

import sqlite3

import pytest

from chain.abi import keccak256
from chain.backends.store import ChainStore
from chain.errors.chain import ChainUnavailable, IncompatibleChainFile

VALUE = b"a node of a tree"
KEY = keccak256(VALUE)


@pytest.fixture
def store(tmp_path):
    opened = ChainStore(tmp_path / "chain.sqlite", {})
    opened[KEY], opened[b"name"] = VALUE, b"first"
    opened.commit()
    yield opened
    opened.close()


def altered(store, key, value):
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE entry SET value = ? WHERE key = ?", (value, key))
    connection.close()


def test_what_lies_under_its_hash_is_read_once_and_what_has_a_name_each_time(store):
    assert store[KEY] == VALUE
    altered(store, KEY, b"another node")
    altered(store, b"name", b"second")
    assert (store[KEY], store[b"name"]) == (VALUE, b"second")


def test_what_was_altered_is_refused_when_it_is_read(store):
    altered(store, KEY, b"another node")
    for _ in range(2):
        with pytest.raises(IncompatibleChainFile, match=KEY.hex()):
            store[KEY]


def test_what_is_deleted_is_gone_before_and_after_the_commit_and_back_where_it_is_discarded(store):
    assert store[KEY] == VALUE
    del store[KEY]
    assert KEY not in store
    store.discard()
    assert store[KEY] == VALUE
    del store[KEY]
    store.commit()
    assert KEY not in store
    with pytest.raises(KeyError):
        store[KEY]
    store[KEY] = VALUE
    store.commit()
    assert store[KEY] == VALUE


def test_a_closed_store_says_so_whatever_it_read(store):
    assert store[KEY] == VALUE
    store.close()
    with pytest.raises(ChainUnavailable, match="is closed"):
        store[KEY]
