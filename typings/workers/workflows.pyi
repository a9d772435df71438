from longshore.workers.workflows import *
