"""The ways to get one file to seven hosts: ours, and what Debian has. Each: start(), then wait() until all that shall have it do."""
import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

from image.scene import HOSTS, cpu_of_ksoftirqd

PORT = 7404
PIECE = 65536
LIMIT_S = 180
SETTLE_S = 2


class Way:
    name = None

    def __init__(self, scene, source, directory):
        self.scene, self.source, self.directory = scene, Path(source), Path(directory)
        self.processes, self.by_host, self.ended = [], {}, {}
        self.size = self.source.stat().st_size

    def out(self, host):
        return self.directory / f"{self.scene.name(host)}.img"

    def spawn(self, host, *words, **options):
        options.setdefault("stdout", subprocess.DEVNULL)
        process = subprocess.Popen(self.scene.inside(host, *map(str, words)), stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True, **options)
        self.processes.append(process)
        self.by_host.setdefault(host, []).append(process)
        return process

    def shell(self, host, line):
        return self.spawn(host, "bash", "-c", line)

    def signal(self, host, number):
        for process in self.by_host[host]:
            os.killpg(process.pid, number)

    def prepare(self):
        """What may be there before anybody looks at the clock."""

    def done(self, host):
        """Whether this host has all of it, as far as the way itself knows."""
        return self.by_host[host][-1].poll() is not None

    def run(self, without=(), accident=None):
        """Seconds until all but `without` have it, and CPU seconds. `accident`: (after seconds, what)."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        softirq, ended = cpu_of_ksoftirqd(), {}
        try:
            self.prepare()
            begun = time.monotonic()
            self.start()
            waiting = set(range(1, HOSTS)) - set(without)
            while waiting - ended.keys():
                now = time.monotonic() - begun
                if accident and now > accident[0]:
                    accident[1](self)
                    accident = None
                ended.update({host: now for host in waiting - ended.keys() if self.done(host)})
                if now > LIMIT_S:
                    return None, None, ended
                time.sleep(0.005)
        finally:
            self.stop()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime + cpu_of_ksoftirqd() - softirq
        for host in waiting:
            self.check(host)
        return max(ended.values()), cpu, ended

    def check(self, host):
        if subprocess.run(["cmp", "-s", self.source, self.out(host)], check=False).returncode != 0:
            raise RuntimeError(f"{self.name}: {self.out(host)} is not the file")

    def stop(self):
        for process in self.processes:
            try:
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        for process in self.processes:
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Godwit(Way):
    name = "godwit"
    program = None
    debug = False

    def __init__(self, scene, source, directory):
        super().__init__(scene, source, directory)
        names = [self.full(host) for host in range(HOSTS)]
        subprocess.run([self.program, "keys", directory, *names], check=True)
        listed = Path(f"{source}.list")
        digest = subprocess.run([self.program, "list", source], check=True, capture_output=True, text=True).stdout.strip()
        self.out(0).unlink(missing_ok=True)
        os.link(source, self.out(0))
        Path(f"{self.out(0)}.list").write_bytes(listed.read_bytes())
        hosts = [{"name": self.full(host), "ip": scene.ip(host), "site": scene.sites[host]} for host in range(HOSTS)]
        for host in range(HOSTS):
            config = {"keys": str(directory), "name": self.full(host), "port": PORT, "file": str(self.out(host)),
                      "pieces": self.size // PIECE, "list_sha256": digest, "hosts": hosts}
            self.config(host).write_text(json.dumps(config), encoding="utf-8")

    def full(self, host):
        return f"{self.scene.name(host)}.bench.godwit"

    def config(self, host):
        return self.directory / f"{self.scene.name(host)}.json"

    def said(self, host):
        return self.directory / f"{self.scene.name(host)}.said"

    def prepare(self):
        """Agents run all the time; what comes is the image."""
        self.launch(range(HOSTS - 1, 0, -1))
        time.sleep(SETTLE_S / 4)

    def start(self):
        self.launch([0])

    def launch(self, hosts):
        environment = {**os.environ, **({"GODWIT_CHAIN_DEBUG": "1"} if self.debug else {})}
        for host in hosts:
            with self.said(host).open("wb") as out, self.said(host).with_suffix(".log").open("wb") as log:
                words = self.scene.inside(host, str(self.program), "run", str(self.config(host)))
                process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=environment,
                                           start_new_session=True)
            self.processes.append(process)
            self.by_host[host] = [process]

    def done(self, host):
        return b"whole" in self.said(host).read_bytes()


class Parallel(Way):
    name = "parallel nc"

    def prepare(self):
        for host in range(1, HOSTS):
            self.shell(host, f"nc -l -p 9000 > {self.out(host)}")
        time.sleep(SETTLE_S)

    def start(self):
        for host in range(1, HOSTS):
            self.spawn(0, "bash", "-c", f"nc -N {self.scene.ip(host)} 9000 < {self.source}")


class Chain(Way):
    name = "nc | tee | nc"

    def prepare(self):
        for host in range(HOSTS - 1, 0, -1):
            onwards = f"> {self.out(host)}"
            if host + 1 < HOSTS:
                onwards = f"| tee {self.out(host)} | (sleep {SETTLE_S / 2}; nc -N {self.scene.ip(host + 1)} 9000)"
            self.shell(host, f"nc -l -p 9000 {onwards}")
        time.sleep(SETTLE_S)

    def start(self):
        self.shell(0, f"nc -N {self.scene.ip(1)} 9000 < {self.source}")


class Udpcast(Way):
    name = "udpcast"

    def prepare(self):
        for host in range(1, HOSTS):
            self.spawn(host, "udp-receiver", "--interface", "up0", "--nokbd", "--file", self.out(host))
        time.sleep(SETTLE_S)

    def start(self):
        self.spawn(0, "udp-sender", "--interface", "up0", "--nokbd", "--full-duplex", "--min-receivers", HOSTS - 1, "--file",
                   self.source)
