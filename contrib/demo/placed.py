# SPDX-License-Identifier: LGPL-2.1-or-later
# Stands in its VM before anybody asks to run it.
import json
import platform

print(json.dumps({"python": platform.python_version(), "says": "I was here before you asked"}))
