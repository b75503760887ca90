"""The last words of a report."""

from runner.report.conclusion import conclusion
from tests.report.test_junit import stored


def test_the_generators_own_limit_is_no_limit_of_the_service():
    results = stored("single-process")
    assert "Above it the limit is" in conclusion(results["configurations"])

    for configuration in results["configurations"]:
        for stage in configuration["stages"]:
            if stage["verdict"]["code"] != "within-capacity":
                stage["verdict"]["code"] = "generator-limited"

    told = conclusion(results["configurations"])
    assert "Above it the load generator was the limit" in told
    assert "Above it the limit is" not in told
