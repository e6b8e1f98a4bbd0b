"""What the process that starts the web server tells it, where other users do not see it."""

CODE_SOCKET = "EXPORT_PIPELINES_CODE_SOCKET"
"""The variable of the socket of a code server that is being started, for which it waits."""

NO_AUTH = "EXPORT_PIPELINES_NO_AUTH"
"""The variable that, set to anything, lets everybody in."""

SERVER_TOKEN = "EXPORT_PIPELINES_SERVER_TOKEN"  # noqa: S105 - the name of a variable
"""The variable of what the starting process shows instead of a key."""
