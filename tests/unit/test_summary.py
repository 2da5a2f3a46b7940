"""What is printed at the end of `make test`."""

from summary import lines

STAGE = {
    "stage": "labs",
    "took_s": 600.0,
    "busy_percent": 50,
    "withheld_percent": 20.5,
    "outcomes": {"passed": 100, "repeated": 1},
    "files": {"tests/lab/test_mesh.py": 60.0, "tests/lab/test_paths.py": 30.0},
    "skipped": {"no kube-apiserver": 17},
    "repeated": [{"test": "test_mesh.py::test_x", "evidence": ["withheld for 2.00 s"]}],
}
COUNTS = {"num_statements": 8, "covered_lines": 6, "num_branches": 2, "covered_branches": 1}


def test_stages_files_skips_and_repeats():
    printed = lines([{"stage": "lint", "took_s": 20.0}, STAGE], {})
    assert printed == [
        "",
        "make test, stage by stage:",
        "   20.0 s  lint",
        "  600.0 s  labs: 100 passed, 1 repeated; processors 50 % busy, 20.5 % withheld",
        "files that took longest, all their tests added up:",
        "   60.0 s  tests/lab/test_mesh.py",
        "   30.0 s  tests/lab/test_paths.py",
        "skipped in labs: 17, no kube-apiserver",
        "repeated in labs: test_mesh.py::test_x",
        "    withheld for 2.00 s",
    ]


def test_lines_and_branches_by_package():
    whole = {name: 2 * count for name, count in COUNTS.items()}
    files = ("src/ovnmesh/plan/site.py", "/x/src/ovnmesh/errors.py")
    coverage = {"files": {file: {"summary": COUNTS} for file in files}, "totals": whole}
    assert lines([], coverage)[-2:] == [
        "lines and branches reached without a data path: 70.0 %; by package:",
        "    errors 70, plan 70",
    ]
