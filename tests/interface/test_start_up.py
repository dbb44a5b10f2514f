"""What `import fairprof` and an audit load: neither torch nor MLflow nor matplotlib."""

import json
import subprocess
import sys

from tests.places import ROOT

MOST_SECONDS = 2.0
HEAVY = {"torch", "mlflow", "matplotlib"}
PROGRAM = """
import json, sys, time
start = time.perf_counter()
import fairprof
seconds = time.perf_counter() - start
at_import = sorted(sys.modules)
import pandas
table = pandas.DataFrame({"g": [0, 1] * 50, "y_true": [0, 0, 1, 1] * 25, "y_pred": [0, 1, 1, 1] * 25})
audit = fairprof.audit(table, groups="g")
audit.to_html()
fairprof.compare({"A": [table] * 2, "B": [table] * 2}, groups="g").to_html()
print(json.dumps({"seconds": seconds, "at import": at_import, "at last": sorted(sys.modules)}))
"""


def test_the_front_door_is_light():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["seconds"] < MOST_SECONDS
    assert not HEAVY & set(found["at import"])
    assert not HEAVY & set(found["at last"])
