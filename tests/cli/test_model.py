"""``cocogen model export`` where there is no model; with one: tests/cocogen/operations/test_model_export.py."""

from __future__ import annotations

from tests.examples import typed


def test_without_a_deployment_it_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = typed("model", "export", "-o", "model.onnx")
    assert code == 2
    assert "deploy one first" in err


def test_help_names_the_formats_and_what_is_in_a_file():
    code, out, _ = typed("model", "export", "--help")
    assert code == 0
    for said in (".safetensors or .onnx", "the names of the classes", "their intervals"):
        assert said in " ".join(out.split())
    assert typed("model", "export")[0] == 2
