"""The terms file: everything wrong is named with file, field, value and valid range, all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cocogen.errors import ConfigurationError
from cocogen.terms.consortium import load_consortium
from cocogen.terms.sections import parse_duration

EXAMPLE = Path(__file__).parents[3] / "examples" / "clinics.toml"
INCENTIVE = EXAMPLE.read_text().partition("[incentive]\n")[2].partition("\n[settlement]")[0]


def test_the_example_is_valid():
    consortium = load_consortium(EXAMPLE)
    assert consortium.names == ("north", "harbor", "riverside", "hillside", "meadow", "lakeview")
    assert consortium.competition.shape == (6, 6)
    assert np.array_equal(np.diag(consortium.competition), np.zeros(6))
    assert consortium.settlement.submit_window == 86_400


@pytest.mark.parametrize("dataset", ["./scans/", "../shared/table.npz", "table.npz", "cifar-100"])
def test_data_may_be_a_path_relative_to_the_terms(altered, dataset):
    consortium = load_consortium(altered('dataset = "diagnostic"', f'dataset = "{dataset}"'))
    assert consortium.learning.dataset == dataset, "as written: the resolved terms name no folder of one machine"
    assert consortium.folder == Path(consortium.file).parent


def test_the_example_on_images_is_valid():
    consortium = load_consortium(EXAMPLE.with_name("digits.toml"))
    assert (len(consortium.names), consortium.learning.dataset) == (10, "digits")
    assert consortium.learning.partition.alpha == 0.3


def test_a_table_entry_holds_both_ways_unless_the_other_is_stated(altered):
    path = altered("harbor = { riverside = 0.04 }", "harbor = { riverside = 0.04, north = 0.02 }")
    competition = load_consortium(path).competition
    assert competition[0, 1] == 0.05
    assert competition[1, 0] == 0.02
    assert competition[1, 2] == competition[2, 1] == 0.04
    assert competition[0, 5] == 0.01


@pytest.mark.parametrize(
    ("old", "new", "field", "valid"),
    [
        ("seed = 7", "seed = -1", "consortium.seed = -1", "greater than or equal to 0"),
        ("seed = 7", "sed = 7", "consortium.sed = 7", "unknown key"),
        ('mechanism = "cocogen+"', 'mechanism = "magic"', "consortium.mechanism = 'magic'", "cocogen+"),
        ("default = 0.01", "default = 1.5", "market.competition.default = 1.5", "between 1e-12 and 1"),
        ("harbor = 0.05", "harbor = -0.1", "market.competition.north.harbor = -0.1", "between 1e-12 and 1"),
        ("harbor = 0.05", "harbor = nan", "market.competition.north.harbor = nan", "between 1e-12 and 1"),
        ("harbor = 0.05", "harbour = 0.05", "market.competition.north.harbour", "unknown organization"),
        ("harbor = 0.05", "north = 0.05", "market.competition.north.north = 0.05", "compete with itself"),
        ("harbor = 0.05", "harbor = {}", "market.competition", "numbers between 0 and 1"),
        ("harbor = 0.05", "harbor = 1" + "0" * 400, "market.competition", "numbers between 0 and 1"),
        (INCENTIVE, "strength = 1" + "0" * 400, "incentive.strength", "finite number"),
        ("harbor = 0.05", 'harbor = "much"', "market.competition", "numbers between 0 and 1"),
        ('"optimal"', '"optimal"\nstrength = 2.0', "incentive.strength = 2", '"auto": the optimal redistribution'),
        ('"optimal"', '"uniform"', 'incentive.offsets = "equal-surplus"', '"local" with redistribution = "uniform"'),
        ('"equal-surplus"', '"local"', 'incentive.offsets = "local"', '"equal-surplus" or "min-bond"'),
        ('"optimal"', '"best"', "incentive.redistribution = 'best'", "'uniform' or 'optimal'"),
        (INCENTIVE, "strength = nan", "incentive.strength = nan", "finite number"),
        (INCENTIVE, "strength = -1", "incentive.strength = -1", "0, or at least"),
        (INCENTIVE, "strength = 1e60", "incentive.strength = 1e+60", "160 bits"),
        ("scale = 4.0", "scale = inf", "market.accuracy.scale = inf", "finite"),
        ('kind = "power-law"', 'kind = "linear"', "market.accuracy", "power-law"),
        ('dataset = "diagnostic"', 'dataset = "nothing"', "learning.dataset = 'nothing'", "diagnostic"),
        ('dataset = "diagnostic"', 'dataset = "nothing"', "learning.dataset = 'nothing'", "table.npz"),
        ('name = "harbor"', 'name = "north"', "organization[1].name = 'north'", "unique"),
        ('name = "harbor"', 'name = "attester"', "organization[1].name = 'attester'", "reserved"),
        ('name = "harbor"', 'name = "Harbor Clinic"', "organization[1].name = 'Harbor Clinic'", "pattern"),
        ("quorum = 0.8", "quorum = 1.8", "settlement.quorum = 1.8", "less than or equal to 1"),
        ("quorum = 0.8", "quorum = 0", "settlement.quorum = 0", "greater than or equal to"),
        ("minimum_members = 5", "minimum_members = 7", "settlement.minimum_members = 7", "between 2 and"),
        ('submit_window = "1 day"', 'submit_window = "1 fortnight"', "settlement.submit_window", "90 minutes"),
        ('submit_window = "1 day"', 'submit_window = "5 minutes"', "settlement.submit_window", "at least 1 hour"),
        ("sizes = [105, 85", "sizes = [85", "learning.partition.sizes", "one size for each of the 6"),
        ('kind = "dirichlet"', 'kind = "shards"', "learning.partition.sizes", 'none with kind = "shards"'),
        ('kind = "dirichlet"', 'kind = "quantity"', "learning.partition.sizes", "sets the sizes itself"),
        ('kind = "dirichlet"', 'kind = "sorted"', "learning.partition.kind", "feature-shift"),
        ("hidden = 32", "samples = 0", "learning.samples", "greater than or equal to 1"),
        ("maximum = 300", "maximum = 9007199254740992", "generation.maximum", "less than"),
        ("wei_per_unit = 1_000_000_000_000_000", "wei_per_unit = 1.5", "settlement.wei_per_unit = 1.5", "integer"),
        (
            "profitability = 2400.0",
            "profitability = 0",
            "organization[0].profitability = 0",
            "greater than or equal to",
        ),
        ("profitability = 2400.0", "", "organization[0].profitability = nothing", "required"),
        (
            "quadratic = 0.0040",
            "quadratic = 0",
            "organization[0].generation_cost.quadratic = 0",
            "greater than or equal to",
        ),
    ],
)
def test_an_invalid_field_is_named_with_its_value_and_valid_range(altered, old, new, field, valid):
    path = altered(old, new)
    with pytest.raises(ConfigurationError) as caught:
        load_consortium(path)
    message = str(caught.value)
    assert str(path) in message
    assert field in message
    assert valid in message


@pytest.mark.parametrize(
    ("line", "need"),
    [
        ("", "momentum = 0: "),
        ("momentum = 0\nproximal = 0.1", "proximal = 0: "),
        ('momentum = 0\nserver = { optimizer = "momentum" }', 'server.optimizer = "average": '),
        ('momentum = 0\naggregation = "trimmed-mean"', 'aggregation = "average": '),
        ("momentum = 0\nclip_norm = 2.0", "no clip_norm: "),
        ("momentum = 0\nprivacy = { clip = 1.0, noise_multiplier = 0.5 }", "no privacy: "),
    ],
)
def test_scaffold_refuses_what_breaks_control_variates_and_says_why(altered, line, need):
    with pytest.raises(ConfigurationError) as caught:
        load_consortium(altered("hidden = 32", f"hidden = 32\nscaffold = true\n{line}"))
    (problem,) = caught.value.problems
    assert (problem.field, problem.value) == ("learning.scaffold", "True")
    assert f"needs {need}" in problem.valid
    assert ";" not in problem.valid


def test_scaffold_is_off_unless_the_terms_say_so(altered):
    assert not load_consortium(altered("hidden = 32", "hidden = 32")).learning.scaffold
    on = load_consortium(altered("hidden = 32", "hidden = 32\nscaffold = true\nmomentum = 0\nweight_decay = 0.01"))
    assert on.learning.scaffold
    several = "hidden = 32\nscaffold = true\nproximal = 1\nclip_norm = 1"
    with pytest.raises(ConfigurationError, match=r"momentum = 0.*; proximal = 0.*; no clip_norm"):
        load_consortium(altered("hidden = 32", several))


def test_all_problems_are_reported_at_once(altered):
    path = altered("seed = 7", "seed = -1\nextra = 1")
    with pytest.raises(ConfigurationError) as caught:
        load_consortium(path)
    assert len(caught.value.problems) == 2


def test_an_unstable_market_names_the_organization_and_the_largest_admissible_competition(altered):
    path = altered("profitability = 700.0", "profitability = 7.0")
    with pytest.raises(ConfigurationError, match="potential weight of lakeview is -71") as caught:
        load_consortium(path)
    assert "0.0897" in str(caught.value)


def test_the_largest_admissible_uniform_competition_is_admissible_just_below(tmp_path):
    text = EXAMPLE.read_text()
    start, end = text.index("[market.competition]"), text.index("[incentive]")
    table = text[start:end]

    def write(value: float) -> Path:
        path = tmp_path / "terms.toml"
        path.write_text(
            text.replace(table, "").replace("exponent = 0.5 }", f"exponent = 0.5 }}\ncompetition = {value!r}")
        )
        return path

    with pytest.raises(ConfigurationError) as caught:
        load_consortium(write(0.5))
    limits = [float(p.valid.rsplit("below ", 1)[1]) for p in caught.value.problems]
    assert limits
    load_consortium(write(min(limits) * 0.999))
    with pytest.raises(ConfigurationError):
        load_consortium(write(min(limits) * 1.001))


@pytest.mark.parametrize("count", [1, 121])
def test_a_consortium_has_between_2_and_120_organizations(tmp_path, count):
    text = EXAMPLE.read_text()
    head = text[: text.index("[[organization]]")]
    start, end = head.index("[market.competition]"), head.index("[incentive]")
    head = head.replace(head[start:end], "").replace("exponent = 0.5 }", "exponent = 0.5 }\ncompetition = 0.0")
    head = head.replace("sizes = [105, 85, 70, 60, 40, 25]", "").replace("minimum_members = 5", "minimum_members = 2")
    entry = '[[organization]]\nname = "o{}"\nprofitability = 100.0\ngeneration_cost = {{ quadratic = 0.1 }}\n'
    path = tmp_path / "terms.toml"
    path.write_text(head + "".join(entry.format(n) for n in range(count)))
    with pytest.raises(ConfigurationError, match="between 2 and 120"):
        load_consortium(path)


def test_two_organizations_may_not_share_an_address(altered):
    address = '"0x' + "ab" * 20 + '"'
    path = altered('name = "north"', f'name = "north"\naddress = {address}')
    shouted = address.upper().replace("0X", "0x")
    path.write_text(path.read_text().replace('name = "harbor"', f'name = "harbor"\naddress = {shouted}'))
    with pytest.raises(ConfigurationError, match=r"organization\[1\].address .* unique"):
        load_consortium(path)


@pytest.mark.parametrize(
    "content", [b"seed = \n", b"\xff\xfe", b"[" * 2000, b"a = " + b"9" * 5000, b".".join([b"a"] * 5000) + b" = 1"]
)
def test_a_file_that_is_not_toml_is_a_configuration_error(tmp_path, content):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"broken\.toml"):
        load_consortium(path)


def test_of_very_many_problems_the_first_are_shown_and_the_rest_counted(altered):
    """A file of a megabyte must not become a message of many."""
    path = altered('name = "north"', "".join(f"k{n} = 1\n" for n in range(5000)) + 'name = "north"')
    with pytest.raises(ConfigurationError) as caught:
        load_consortium(path)
    assert len(caught.value.problems) == 5000
    assert len(str(caught.value)) < 5000
    assert "k0 = 1: unknown key" in str(caught.value)
    assert str(caught.value).endswith("\n  and 4,970 more")


def test_a_missing_file_a_folder_and_an_oversized_file_are_configuration_errors(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_consortium(tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_consortium(tmp_path)
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigurationError, match="larger than"):
        load_consortium(large)


class TestCompetitionFile:
    NAMES = ("north", "harbor", "riverside", "hillside", "meadow", "lakeview")

    @pytest.fixture
    def terms(self, tmp_path):
        text = EXAMPLE.read_text()
        start, end = text.index("[market.competition]"), text.index("[incentive]")
        path = tmp_path / "terms.toml"
        path.write_text(
            text.replace(text[start:end], "").replace("exponent = 0.5 }", 'exponent = 0.5 }\ncompetition = "rho.csv"')
        )
        return path

    def rows(self, value: str = "0.01") -> list[list[str]]:
        header = ["", *reversed(self.NAMES)]
        return [header, *([row, *("0" if row == column else value for column in header[1:])] for row in self.NAMES)]

    def write(self, terms: Path, rows: list[list[str]]) -> None:
        (terms.parent / "rho.csv").write_text("\n".join(",".join(row) for row in rows))

    def test_is_read_by_name_whatever_the_order(self, terms):
        rows = self.rows()
        rows[1][1] = "0.03"  # north's row, lakeview's column
        self.write(terms, rows)
        competition = load_consortium(terms).competition
        assert competition[0, 5] == 0.03
        assert competition[5, 0] == 0.01

    @pytest.mark.parametrize(
        ("row", "column", "cell", "valid"),
        [
            (1, 1, "2", "between 1e-12 and 1"),
            (1, 1, "x", "a number"),
            (1, 6, "0.1", "itself"),
            (1, 1, "nan", "between"),
            (1, 1, "5e-324", "0, or between 1e-12 and 1"),
            (1, 1, "-0.1", "between 1e-12 and 1"),
            (1, 1, "1_0", "a number"),
            (1, 1, "\uff11", "a number"),
            (1, 1, "1.000.5", "a number"),
        ],
    )
    def test_names_the_cell_that_is_wrong(self, terms, row, column, cell, valid):
        rows = self.rows()
        rows[row][column] = cell
        self.write(terms, rows)
        with pytest.raises(ConfigurationError, match=rf"market.competition.{rows[row][0]}.{rows[0][column]} .*{valid}"):
            load_consortium(terms)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize(
        ("separator", "decimal", "before", "after", "below"),
        [
            (",", ".", "", "", ""),
            (";", ",", "", "", ""),
            (";", ".", "", "", ""),
            ("\t", ",", "", "", ""),
            (";", ",", "sep=;\n", "", ""),
            ("|", ",", "sep=|\n", "", ""),
            (";", ",", "", ";", ""),
            (",", ".", "", ",,", ",,,\n\n"),
            (";", ",", "sep=;\n", " ; ", ";;;;;;;;\n;;;\n"),
        ],
    )
    def test_is_read_as_spreadsheets_write_it(self, terms, separator, decimal, before, after, below, end, encoding):
        rows = self.rows()
        rows[1][1] = "0.25"
        rows[0][0] = "organization"
        lines = [separator.join(f" {cell} " for cell in row).replace(".", decimal) + after for row in rows]
        text = before + "\n".join([*lines, below])
        (terms.parent / "rho.csv").write_bytes(text.replace("\n", end).encode(encoding))
        competition = load_consortium(terms).competition
        assert competition[0, 5] == 0.25
        assert competition[5, 0] == 0.01

    def test_quoted_decimals_with_a_comma_are_read_between_commas_too(self, terms):
        (terms.parent / "rho.csv").write_text(
            "\n".join(",".join(f'"{cell}"'.replace(".", ",") for cell in row) for row in self.rows())
        )
        assert load_consortium(terms).competition[0, 5] == 0.01

    @pytest.mark.parametrize(
        ("content", "shown"),
        [
            ("|north|harbor\n", "read with commas between cells they are nothing after '|north|harbor'"),
            (";north;harbour\n", r"read with semicolons between cells they are 'north', 'harbour'"),
            ("sep=|\n|north|h\u00e4rbor\n", r"read with '|' between cells they are 'north', 'h\xe4rbor'"),
            ("", "they are nothing"),
            ("," + ",".join(f"x{n}" for n in range(400)), "and 388 more"),
            (b"\xff\xfeab\xd8\xdf", "must be a readable CSV file"),
            (b",n\xf6rth\n", "must be a readable CSV file"),
            (" " * 1_000_001, "larger than 1,000,000 bytes"),
        ],
    )
    def test_what_cannot_be_read_is_shown_as_it_was_found(self, terms, content, shown):
        (terms.parent / "rho.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(ConfigurationError) as caught:
            load_consortium(terms)
        assert shown in str(caught.value)
        assert len(str(caught.value)) < 1500

    def test_must_exist_and_hold_exactly_the_organizations(self, terms):
        with pytest.raises(ConfigurationError, match="must be a CSV file"):
            load_consortium(terms)
        self.write(terms, self.rows()[:-1])
        with pytest.raises(ConfigurationError, match="rows must be exactly"):
            load_consortium(terms)
        self.write(terms, [row[:-1] if i == 2 else row for i, row in enumerate(self.rows())])
        with pytest.raises(ConfigurationError, match="6 values"):
            load_consortium(terms)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1 day", 86_400), ("90 minutes", 5_400), (60, 60), ("2 weeks", 1_209_600)]
)
def test_durations_are_seconds_or_text(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *(
            "\uff11 day",
            "\u0661 day",
            "\u00b2 days",
            "1 day\n",
            "1\u00a0day",
            "1_0 days",
            "-1 day",
            "+1 day",
            "1.5 days",
        ),
        *("", "day", "1 days 2 hours", "9" * 5000 + " days"),
    ],
)
def test_durations_are_ascii_digits_and_a_unit_and_nothing_else(text, altered):
    with pytest.raises(ValueError, match="90 minutes"):
        parse_duration(text)
    written = text.encode("unicode_escape").decode()
    with pytest.raises(ConfigurationError, match=r"settlement\.submit_window = .*90 minutes"):
        load_consortium(altered('submit_window = "1 day"', f'submit_window = "{written}"'.replace("\\x", "\\u00")))
