"""What the product decides of a migration under way, in the product's way (src/migrate/convergence.h, turns.h): whether the rounds of
a pre-copy get smaller, and whose guest may pause."""
import threading
import time

SLOW, SLOW_ROUNDS = 0.8, 3
SECOND_ROUND = 2  # as QEMU counts them
TURN_PATIENCE_S = 10


class Convergence:
    """Three rounds in a row whose rest is hardly below the one before need help."""

    def __init__(self):
        self.round, self.rest_bytes, self.slow = 0, 0, 0

    def needs_help(self, ram):
        if ram["dirty-sync-count"] <= self.round:
            return False
        first, slow = self.round == 0, ram["remaining"] > SLOW * self.rest_bytes
        self.round, self.rest_bytes = ram["dirty-sync-count"], ram["remaining"]
        self.slow = self.slow + 1 if slow and not first else 0
        if first or self.slow < SLOW_ROUNDS:
            return False
        self.slow = 0
        return True


class Turns:
    """One guest of a host may pause at a time, and none in its first round; after TURN_PATIENCE_S another may as well. For many
    threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._left = {}  # of those that are past their first round: bytes
        self._may = set()
        self._turn, self._given_at = None, 0.0

    def may_pause(self, name, ram):
        if ram["dirty-sync-count"] < SECOND_ROUND:
            return False
        with self._lock:
            self._left[name] = ram["remaining"]
            self._choose()
            return name in self._may

    def leave(self, name):
        with self._lock:
            self._left.pop(name, None)
            self._may.discard(name)
            if self._turn == name:
                self._turn = None
            self._choose()

    def _choose(self):
        """The one that has least to do, of those that have not had it."""
        waiting = [each for each in self._left if each not in self._may]
        if waiting and (self._turn is None or time.monotonic() - self._given_at >= TURN_PATIENCE_S):
            self._turn, self._given_at = min(waiting, key=self._left.get), time.monotonic()
            self._may.add(self._turn)
