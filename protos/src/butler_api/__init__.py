# SPDX-License-Identifier: BSD-3-Clause
"""The wire contract: generated messages and stubs, conversion, errors, channels and servers."""

__all__: list[str] = []

import os

# The event engine, an experiment that is on by default in gRPC's core, hands each message to other threads once more.
# Without it a call takes a fifth less (`make bench`). It has to be said before grpc is loaded; whoever has set the
# variable knows better.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")

# Without the engine nobody looks at a connection between calls but a timer, every five seconds. A server that stops
# waits for its clients to notice, so it took as long.
os.environ.setdefault("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "500")

# Without it a process that was forked after the first call hangs in its own first call.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")
