"""Prints each lower bound in pyproject.toml as a constraint for pip: ``click>=8.1.7`` becomes ``click==8.1.7``."""

import re
import tomllib

with open("pyproject.toml", "rb") as stream:
    project = tomllib.load(stream)["project"]
groups = [project["dependencies"], *project["optional-dependencies"].values()]
for requirement in sorted({requirement for group in groups for requirement in group}):
    if bound := re.match(r"([\w.-]+)(?:\[.*\])?>=([\w.]+)", requirement):
        print(f"{bound[1]}=={bound[2]}")
