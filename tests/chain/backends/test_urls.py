"""What of a node's URL may be seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.backends.urls import MASK, is_loopback, is_url, masked
from chain.open import storable
from cocogen.errors import ConfigurationError

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://node.example/v3/{TOKEN}", "https://node.example/v3/***"),
        (f"https://node.example/{TOKEN}/", "https://node.example/***/"),
        (f"https://node.example/rpc?key={TOKEN}", "https://node.example/rpc?***"),
        ("https://node.example/?k=1", "https://node.example/?***"),
        (f"https://user:{TOKEN}@node.example:8545", "https://***@node.example:8545"),
        ("https://user@node.example", "https://***@node.example"),
        ("https://a:b@c@node.example/x", "https://***@node.example/x"),
        (f"https://node.example/#{TOKEN}", "https://node.example/#***"),
        ("https://user:pa/ss@node.example", "https://***@node.example"),
        ("https://user:se#cret@node.example", "https://***@node.example"),
        (f"wss://node.example/v3/{TOKEN}", "wss://node.example/v3/***"),
        (f" https://user:{TOKEN}@node.example", " https://***@node.example"),
        (f"HTTPS://node.example/v3/{TOKEN}", "HTTPS://node.example/v3/***"),
    ],
)
def test_everything_that_could_be_a_secret_is_masked(url, shown):
    assert masked(url) == storable(url) == shown
    assert TOKEN not in masked(url)


@pytest.mark.parametrize(
    "specification",
    ["http://127.0.0.1:8545", "https://node.example/rpc/mainnet", "embedded:/data/chain.sqlite", "memory", "anvil"],
)
def test_what_holds_no_secret_stays_as_it_is(specification):
    assert masked(specification) == specification


@given(
    user=st.text("abcXYZ019:%", max_size=20),
    path=st.lists(st.text("abcXYZ019-_", min_size=1, max_size=40), max_size=4),
    query=st.text("abcXYZ019=&", max_size=40),
)
def test_masking_twice_changes_nothing_and_leaves_no_long_word(user, path, query):
    url = f"https://{user}@host.example:1/{'/'.join(path)}?{query}"
    once = masked(url)
    assert masked(once) == once
    assert not any(len(part) >= 12 and part in once.partition("host.example")[2] for part in (*path, query))


def test_masked_url_is_recognized():
    from chain.backends.urls import checked_url

    with pytest.raises(ConfigurationError, match="without its secret"):
        checked_url(f"https://{MASK}@host.example")


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.1.2.3", True),
        ("http://localhost", True),
        ("http://[::1]:1", True),
        ("http://127.0.0.1.example.com", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
    ],
)
def test_loopback_is_told_from_names_that_look_like_it(url, here):
    assert is_loopback(url) is here


def test_only_http_makes_a_url():
    assert is_url("http://x")
    assert is_url("HTTPS://x")
    assert not any(map(is_url, ("ws://x", "embedded:http://x", "http:/x", "")))
