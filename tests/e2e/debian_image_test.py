#!/usr/bin/env python3
"""The Debian guest gets its name, keys and network from an EC2 metadata service, and can search with BLAST.
Usage: debian_image_test.py --cache DIR"""
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import guest_rig
import imds_stub

BOOT_LIMIT_S = 600  # on a loaded machine without KVM; 20 s on an idle one
IDENTITY = "ec2c0de0-0000-4000-8000-000000000001"
FINISHED = "finished at"  # cloud-init's last message
# A user's part and Godwit's, as sky joins them (src/sky/user_data.h).
USER_DATA = """Content-Type: multipart/mixed; boundary="part"
MIME-Version: 1.0

--part
Content-Type: text/cloud-config; charset="utf-8"

#cloud-config
write_files:
  - {path: /etc/from-user-data, content: "written\\n"}
runcmd:
  - [sh, -c, "echo runcmd as $(id -un) >>/etc/from-user-data"]
--part
Content-Type: text/cloud-config; charset="utf-8"

#cloud-config
{"hostname": "alpha", "fqdn": "alpha.cluster.internal", "disable_root": false,
 "write_files": [{"path": "/etc/godwit/roles", "content": "head\\n"}],
 "phone_home": {"url": "http://169.254.169.254/godwit/ready", "post": ["instance_id", "hostname"], "tries": 30},
 "merge_how": [{"name": "list", "settings": ["append"]}, {"name": "dict", "settings": ["no_replace", "recurse_list"]},
               {"name": "str", "settings": ["no_replace"]}]}
--part--
"""


def documented_paths():
    """The paths of docs/formats/metadata.md, as regular expressions."""
    page = (guest_rig.REPOSITORY / "docs/formats/metadata.md").read_text()
    for path in re.findall(r"^\| `(/[^`]*)` \|", page, re.MULTILINE):
        yield re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path.rstrip("/"))) + "/?"


class DebianImage(unittest.TestCase):
    image = manifest = None  # set by guest_rig.main

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="godwit-debian-")
        cls.addClassCleanup(scratch.cleanup)
        directory = Path(scratch.name)
        cls.key = directory / "key"
        guest_rig.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(cls.key))
        lan = cls.enterClassContext(guest_rig.Lan(["alpha"], directory))
        cls.member = lan.members[0]
        cls.instance = imds_stub.Instance("i-00000000000000001", cls.member.name, cls.member.mac, cls.member.ip,
                                          cls.key.with_suffix(".pub").read_text().strip(), USER_DATA)
        service = imds_stub.Service([cls.instance])
        cls.addClassCleanup(service.close)
        cls.guest = cls.enterClassContext(guest_rig.Guest(cls.image, cls.manifest, cls.member, directory, 512,
                                                          identity=IDENTITY, disk_size="4G"))
        cls.boot_s = cls.guest.wait_for(FINISHED, BOOT_LIMIT_S)
        cls.first_requests = list(cls.instance.requests)

    def ssh(self, command, user="debian"):
        done = subprocess.run(["ssh", "-i", str(self.key), "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
                               "-o", "UserKnownHostsFile=/dev/null", f"{user}@{self.member.ip}", command],
                              capture_output=True, text=True, timeout=BOOT_LIMIT_S)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def test_1_is_ready_in_time(self):
        print(f"cloud-init done after {self.boot_s:.1f} s", file=sys.stderr)
        self.assertLess(self.boot_s, BOOT_LIMIT_S)

    def test_2_cloud_init_set_name_and_keys_and_ran_the_user_data(self):
        self.assertEqual(self.ssh("hostname; hostname -f"), "alpha\nalpha.cluster.internal")
        self.assertEqual(self.ssh("cat /etc/from-user-data /etc/godwit/roles"), "written\nruncmd as root\nhead")
        result = json.loads(self.ssh("cat /run/cloud-init/result.json"))["v1"]
        self.assertEqual(result, {"datasource": "DataSourceEc2", "errors": []})
        self.assertIn("status: done", self.ssh("cloud-init status"))

    def test_2_root_may_log_in_where_the_user_data_says_so(self):
        self.assertEqual(self.ssh("id -un", user="root"), "root")

    def test_2_it_phoned_home_once_all_else_was_done(self):
        self.assertEqual(self.first_requests[-1], ("POST", "/godwit/ready", 200))
        self.assertEqual(sum(request[0] == "POST" for request in self.first_requests), 1)

    def test_2_no_unit_failed_and_none_was_left_out_to_break_a_cycle(self):
        self.assertEqual(self.ssh("systemctl list-units --failed --plain --no-legend"), "")
        self.assertEqual(self.ssh("sudo journalctl -b --no-pager | grep -c 'ordering cycle' || true"), "0")

    def test_2_network_is_what_dhcp_said(self):
        self.assertIn("mtu 1400", self.ssh("ip link show eth0"))
        self.assertIn("via 10.7.0.1", self.ssh("ip route get 169.254.169.254"))
        self.assertEqual(self.ssh("getent hosts alpha.cluster.internal").split()[0], self.member.ip)
        self.assertEqual(self.ssh("cat /etc/resolv.conf"), "search cluster.internal\nnameserver 10.7.0.1")

    def test_2_disk_grew_to_the_size_of_the_overlay(self):
        self.assertGreater(int(self.ssh("df --output=size -B1M / | tail -n 1")), 3700)

    def test_2_every_request_is_documented_and_was_answered(self):
        allowed = re.compile("|".join(documented_paths()))
        self.assertGreater(len(self.first_requests), 20)
        for method, path, status in self.first_requests:
            self.assertTrue(allowed.fullmatch(path), f"{path} is not in docs/formats/metadata.md")
            self.assertEqual(status, 200, f"{method} {path}")

    def test_2_blast_finds_a_sequence_of_its_own_database(self):
        found = self.ssh("cd /usr/share/godwit/blast && head -n 2 db.fasta | blastp -db db -num_threads 1 -outfmt 6 -evalue 1e-5")
        query, subject, identity = found.splitlines()[0].split("\t")[:3]
        self.assertEqual((query, identity), (subject, "100.000"))
        self.assertEqual(self.ssh("grep -c '>' /usr/share/godwit/blast/query.fasta"), "500")

    def test_3_a_reboot_keeps_files_and_host_key_and_asks_the_same_again(self):
        key = self.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub; echo kept >kept; sync")
        self.instance.requests.clear()
        self.ssh("sudo systemd-run --quiet --no-block systemctl reboot")
        self.guest.wait_for(FINISHED, BOOT_LIMIT_S, times=2)
        self.assertEqual(self.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub kept"), key + "\nkept")
        self.assertEqual(self.instance.requests, self.first_requests[:-1])  # an instance is born once


if __name__ == "__main__":
    guest_rig.main(DebianImage, "build-debian", "debian-12")
