"""The pytest plugin that brings the fixture ``worker``; loaded by pytest in every project that installs Longshore."""
