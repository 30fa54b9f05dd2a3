#!/usr/bin/env python3
"""The program pa, as a user of the shell sees it: pa_test.py PA MODULE, a module with the task `length`."""

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

PA, MODULE = sys.argv[1:3]


def pa(*words, given=b"", **more):
    return subprocess.run([PA, *words], input=given, capture_output=True, check=False, **more)


def length(*words, **more):
    return pa("map", "--module", MODULE, *words, "length", **more)


def children_of(process):
    found = []
    for thread in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{thread}/children", encoding="ascii") as file:
            found += file.read().split()
    return found


class Commands(unittest.TestCase):
    def test_results_come_in_the_order_of_the_input(self):
        done = pa("map", "-w", "4", "--", "sh", "-c", "[ {} = 1 ] && sleep 0.05; echo got {}", given=b"1\n2\n3\n")
        self.assertEqual((done.stdout, done.stderr, done.returncode), (b"got 1\ngot 2\ngot 3\n", b"", 0))

    def test_without_braces_the_record_is_the_last_argument(self):
        self.assertEqual(pa("map", "--", "echo", "a", given=b"b c\n").stdout, b"a b c\n")

    def test_records_are_not_interpreted_by_a_shell(self):
        self.assertEqual(pa("map", "--", "echo", given=b"$(id); 'x\n").stdout, b"$(id); 'x\n")

    def test_a_failure_is_told_and_the_others_go_on(self):
        done = pa("map", "--", "sh", "-c", "test {} != 2 && echo {}", given=b"1\n2\n3\n")
        self.assertEqual((done.stdout, done.returncode), (b"1\n3\n", 1))
        self.assertEqual(done.stderr, b"pa: record 1\tFAILED\t1\texited with status 1\n")

    def test_a_signal_has_the_code_of_a_shell(self):
        done = pa("map", "--json", "--", "sh", "-c", "kill -9 $$ # {}", given=b"1\n")
        outcome = json.loads(done.stdout)
        self.assertEqual((outcome["code"], outcome["message"]), (137, "killed by signal 9"))

    def test_a_command_that_is_not_there(self):
        done = pa("map", "--", "no-such-command", given=b"1\n")
        self.assertIn(b"127\tno-such-command: No such file", done.stderr)

    def test_retries_are_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            script = f"echo x >> {folder}/{{}}; [ $(wc -l < {folder}/{{}}) = 3 ]"
            done = pa("map", "--json", "--retry", "5", "--backoff", "0", "--", "sh", "-c", script, given=b"a\n")
            self.assertEqual(json.loads(done.stdout)["attempts"], 3)

    def test_what_takes_too_long_is_ended_with_what_it_started(self):
        done = pa("map", "--item-timeout", "0.2", "--", "sh", "-c", "sleep 1000; echo {}", given=b"1\n")
        self.assertIn(b"TIMED_OUT", done.stderr)
        self.assertEqual(done.returncode, 1)

    def test_the_time_for_all_of_it(self):
        self.assertEqual(pa("map", "--timeout", "0.2", "--", "sleep", given=b"1000\n" * 5).returncode, 124)

    def test_max_errors_ends_it(self):
        done = pa("map", "-w", "1", "--max-errors", "2", "--", "false", given=b"x\n" * 1000)
        self.assertEqual((done.returncode, done.stderr.count(b"FAILED\t")), (1, 2))

    def test_ctrl_c_lands(self):
        with subprocess.Popen([PA, "map", "-w", "2", "--", "sh", "-c", "echo {}; [ {} = 1 ] || sleep 1000"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdin.write(b"1\n2\n3\n4\n")
            process.stdin.flush()
            while len(children_of(process.pid)) < 2:  # 2 and 3, which sleep
                pass
            process.send_signal(signal.SIGINT)
            process.stdin.close()
            output, told = process.stdout.read(), process.stderr.read()
        self.assertEqual(process.returncode, 130)
        self.assertLessEqual(set(output.split()), {b"1"})
        self.assertIn(b"stopped early (CANCELLED)", told)


class Tasks(unittest.TestCase):
    def test_lines(self):
        self.assertEqual(length(given=b"one\nthree\n\nlast").stdout, b"3\n5\n0\n4\n")

    def test_zero_bytes_and_lengths(self):
        self.assertEqual(length("-0", given=b"a\0bb\0").stdout, b"1\x002\x00")
        records = b"".join(struct.pack(">I", len(r)) + r for r in (b"abc", b"a" * 300))
        self.assertEqual(length("-l", given=records).stdout, b"\0\0\0\1" b"3" b"\0\0\0\3" b"300")

    def test_input_that_is_cut_off(self):
        done = length("-l", given=b"\0\0\0\5abc")
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"middle of a record", done.stderr)

    def test_what_comes_before_the_cut_is_run(self):
        done = length("-l", given=b"\0\0\0\1a\0\0\0\2bb\0\0\0\5abc")
        self.assertEqual((done.stdout, done.returncode), (b"\0\0\0\0011\0\0\0\0012", 3))

    def test_a_string_with_a_zero_byte(self):
        self.assertIn(b"zero byte", length("-l", given=b"\0\0\0\3a\0c").stderr)

    def test_a_crash_costs_one_record(self):
        with tempfile.TemporaryDirectory() as folder:
            failures = os.path.join(folder, "failures")
            done = length("--processes", "--failures", failures, given=b"one\ncrash\nthree\nfail\n")
            self.assertEqual((done.stdout, done.stderr, done.returncode), (b"3\n5\n", b"", 1))
            with open(failures, encoding="utf-8") as file:
                self.assertEqual(file.read(), "1\tCRASHED\t-9\tits worker process was killed by signal 9 (SIGKILL)\n"
                                              "3\tFAILED\t5\tas it was told\n")

    def test_many_through_processes(self):
        lines = [b"x" * (i % 100 + 1) for i in range(50000)]
        done = length("-p", "--progress", given=b"\n".join(lines))
        self.assertEqual(done.stdout.split(), [str(len(line)).encode() for line in lines])
        self.assertIn(b"50000 done, 0 failed", done.stderr)

    def test_nothing(self):
        self.assertEqual(length().returncode, 0)

    def test_the_list(self):
        self.assertEqual(pa("modules", MODULE).stdout.decode(), f"{MODULE}\n  length\titems\n")


class Usage(unittest.TestCase):
    def refused(self, *words, says):
        done = pa(*words)
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        self.assertIn(says, done.stderr)

    def test_what_is_refused(self):
        self.refused(says=b"subcommand")
        self.refused("map", says=b"COMMAND")
        self.refused("map", "-m", MODULE, says=b"TASK")
        self.refused("map", "-m", MODULE, "length", "--", "echo", says=b"either")
        self.refused("map", "-m", MODULE, "width", says=b"length")
        self.refused("map", "-m", "/nowhere.so", "length", says=b"/nowhere.so")
        self.refused("map", "-0", "-l", "--", "echo", says=b"exclude")
        self.refused("map", "-p", "--", "echo", says=b"processes")
        self.refused("map", "--rate", "0", "--", "echo", says=b"rate")
        self.refused("map", "--retry", "0", "--", "echo", says=b"retry")
        self.refused("map", "-i", "/nowhere", "--", "echo", says=b"/nowhere")
        self.refused("map", "-f", "/nowhere/f", "--", "echo", says=b"/nowhere/f")
        self.refused("modules", "/etc/passwd", says=b"passwd")
        self.refused("modules", MODULE, "--", "echo", says=b"command")
        self.refused("worker", says=b"not by hand")

    def test_help_and_version(self):
        self.assertIn(b"--item-timeout", pa("map", "--help").stdout)
        self.assertEqual(pa("--version").stdout, b"pa 0.1.0\n")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
