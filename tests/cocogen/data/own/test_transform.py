"""The transform is scikit-learn's on the union of the sites, and the same bits whether they are apart or together."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.data.own.rows import Rows
from cocogen.data.own.sums import NumberSums, Sums, added
from cocogen.data.own.table import Images, Table
from cocogen.data.own.transform import Transform
from cocogen.data.scaling import federated_scale
from cocogen.errors import DatasetError, SiteError
from cocogen.terms.schema import NumberFeature
from tests.cocogen.data.own.tables import images, part, schema, table


def reference(whole: Table) -> np.ndarray:
    """The columns of the schema by scikit-learn, from the table as it was read."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns, steps = [], []
    number = category = 0
    for feature in whole.schema.feature:
        at = [len(columns)]
        if isinstance(feature, NumberFeature):
            columns.append(whole.numbers[:, number])
            number += 1
            steps.append((feature.name, make_pipeline(SimpleImputer(), StandardScaler()), at))
            if feature.missing == "indicator":
                steps.append((f"{feature.name} missing", MissingIndicator(features="all"), at))
        else:
            levels = whole.levels[:, category]
            columns.append(np.where(levels < 0, len(feature.levels), levels).astype(float))
            category += 1
            encoder = OneHotEncoder(categories=[np.arange(feature.width, dtype=float)], sparse_output=False)
            steps.append((feature.name, encoder, at))
    found: np.ndarray = ColumnTransformer(steps).fit_transform(np.stack(columns, axis=1)).astype(np.float64)
    return found


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.sampled_from([0.0, 0.2, 0.8]))
def test_the_transform_is_scikit_learns_on_the_union_of_all_sites(seed: int, sites: int, missing: float) -> None:
    whole = table(90, seed, missing=missing)
    owner = np.random.default_rng(seed).integers(0, sites, 90)
    own = [part(whole, np.flatnonzero(owner == site)) for site in range(sites)]
    transform = Transform.of(whole.schema, added([Sums.of(Rows.of(site)) for site in own]))
    expected = reference(whole)
    for site, site_rows in enumerate(own):
        samples = transform.apply(site_rows)
        assert samples.dtype == np.float32
        assert np.allclose(samples, expected[owner == site], rtol=0, atol=1e-6)
    together = Transform.of(whole.schema, Sums.of(Rows.of(whole)))
    assert together.mean.tobytes() == transform.mean.tobytes()
    assert together.deviation.tobytes() == transform.deviation.tobytes()


def test_the_scale_comes_from_training_rows_alone() -> None:
    own = table(80)
    training, validation = np.arange(60), np.arange(60, 80)
    transform = Transform.of(own.schema, Sums.of(Rows.of(own, training, validation)))
    alone = Transform.of(own.schema, Sums.of(Rows.of(part(own, training))))
    assert np.array_equal(transform.mean, alone.mean)
    samples = transform.apply(Rows.of(own, validation, training))
    assert np.array_equal(samples[20:], alone.apply(part(own, training))), "rows are in the order of their leaves"


def test_a_constant_becomes_zero_and_a_site_without_a_feature_the_mean() -> None:
    own = table(50)
    own.numbers[:, 0] = 71.0
    other = table(50, 1)
    other.numbers[:, 0] = 71.0
    other.numbers[:, 1] = np.nan
    transform = Transform.of(own.schema, added([Sums.of(Rows.of(own)), Sums.of(Rows.of(other))]))
    assert transform.deviation[0] == 1.0
    samples = transform.apply(other)
    assert np.abs(samples[:, 0]).max() < 1e-7
    assert np.all(samples[:, 3] == 0.0)
    assert samples.shape == (50, own.schema.shape[0])


def test_images_are_standardized_by_channel_as_bundled_ones_are() -> None:
    own = [images(20 + n, n) for n in range(3)]
    transform = Transform.of(own[0].schema, added([Sums.of(Rows.of(site)) for site in own]))
    expected = federated_scale([site.pixels for site in own], own[0].schema.shape)
    for site in own:
        assert np.allclose(transform.apply(site), expected.apply(site.pixels), rtol=0, atol=1e-6)


def test_a_dark_channel_is_not_blown_up() -> None:
    own = images(10)
    own.pixels[:, :20] = 3
    transform = Transform.of(own.schema, Sums.of(Rows.of(own)))
    assert np.all(transform.apply(own)[:, :20] == 0.0)
    assert np.all(transform.apply(Images(own.schema, own.pixels + 1, own.labels))[:, :20] == 1.0)


def test_opened_rows_become_the_samples_that_were_trained_on() -> None:
    own = table(30)
    rows = Rows.of(own)
    transform = Transform.of(own.schema, Sums.of(rows))
    assert np.array_equal(transform.apply_to_cells(rows.cells(7, 9)), transform.apply(rows)[7:9])


def test_a_number_that_nobody_has_is_refused() -> None:
    own = table(50)
    own.numbers[:, 1] = np.nan
    with pytest.raises(DatasetError, match="no site has a value of 'glucose'"):
        Transform.of(own.schema, Sums.of(Rows.of(own)))


def test_sites_that_are_constant_and_hardly_differ_are_refused_together() -> None:
    found = schema(features=({"name": "x", "kind": "number", "minimum": 0.0, "maximum": 1.0},))
    total = Sums((1, 1), (0, 0), numbers=(NumberSums(2, 0, 0, 1, 1),))
    with pytest.raises(DatasetError, match=r"'x' deviates by less than 2\^-20"):
        Transform.of(found, total)


def test_nobodys_rows_have_no_scale() -> None:
    own = images(0)
    with pytest.raises(DatasetError, match="no site has any training rows"):
        Transform.of(own.schema, Sums.of(Rows.of(own)))


@pytest.mark.parametrize(("column", "name"), [(0, "age"), (1, "sex")])
def test_a_missing_value_that_the_schema_requires_is_named_by_row_and_column(column: int, name: str) -> None:
    own = table(30)
    transform = Transform.of(own.schema, Sums.of(Rows.of(own)))
    if column:
        own.levels[4, 0] = -1
    else:
        own.numbers[4, 0] = np.nan
    with pytest.raises(SiteError, match=f"row 5, column '{name}': no value") as refused:
        transform.apply(own)
    assert (refused.value.row, refused.value.column) == (5, name)


@pytest.mark.parametrize("own", [table(), images()])
def test_a_transform_survives_json_bit_by_bit(own: Table | Images) -> None:
    transform = Transform.of(own.schema, Sums.of(Rows.of(own)))
    again = Transform.from_plain(json.loads(json.dumps(transform.to_plain())))
    assert again.schema == own.schema
    assert again.apply(own).tobytes() == transform.apply(own).tobytes()


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [0.0]},
        {"deviation": [1.0, 0.0, 1.0]},
        {"mean": [0.0, float("nan"), 0.0]},
        {"mean": "abc"},
        {"schema": {"kind": "table"}},
        {"schema": 3},
    ],
)
def test_a_malformed_transform_is_refused(change: dict[str, Any]) -> None:
    own = table()
    plain = Transform.of(own.schema, Sums.of(Rows.of(own))).to_plain()
    with pytest.raises(DatasetError):
        Transform.from_plain(plain | change)
