"""The course's machinery: starts the parts, shows what they did, checks what you wrote.

Nothing of it is needed in production, and you never have to read it. A notebook
starts with ``from lab import start`` and ``lab = await start()``. Its rooms, from
the ground up; a room imports from those above it in this list only:

* ``simulation``: a stand-in for the Temporal server that knows nothing of trips
* ``original``: the scripts of notebook 01
* ``designs``: Workflows that are deliberately wrong; never copy one
* ``changes``: new versions of a Workflow that is right
* ``showing``: tables and pictures, the only room that a lesson needs for showing things
* ``running``: servers, systems and Workers, started and stopped
* ``breaking``: scenarios, crashes, the switchboard, the scoreboard's numbers
* ``foreign``: hotel companies that are not ours, and every fault on the line to them
* ``checking``: how answers are judged; ``exercises``: what is asked
* ``publishing``: slides, screenshots, the recorded scoreboard
"""

import sys
from pathlib import Path

from lab.lazily import exported

# The notebooks lie beside the package, not above it.
_ROOT = str(Path(__file__).parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

# Only when asked for: the sandbox loads this file with each of the designs.
__getattr__ = exported(
    __name__,
    {
        "System": "running.system",
        "Trip": "running.system",
        "progress": "exercises.progress",
        "start": "running.starting",
    },
)
