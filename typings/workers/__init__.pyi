# Inside the runtime, `workers` is `longshore.workers` (longshore.compat.install).
from longshore.workers import *
