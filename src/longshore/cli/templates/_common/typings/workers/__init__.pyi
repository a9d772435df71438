# So that editors know what `workers` is: at run time the runtime provides it, nothing has to be installed.
from longshore.workers import *
