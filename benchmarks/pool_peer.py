"""Pools of worker processes in Python, for process.cpp: reads commands from standard input, answers with seconds.

    map POOL N     an echo of N items of 64 bytes, in chunks of 1,024
    call POOL K    the median of K calls of one item, one after the other
    start POOL     two workers are made and answer
    memory POOL    bytes of private memory of a worker
POOL is multiprocessing, futures or loky. The pools stay, but for those of `start`.
"""

import concurrent.futures
import multiprocessing
import statistics
import sys
import time

import loky

WORKERS = 2
CHUNK = 1024


def echo(item):
    return item


def pid(_):
    import os
    return os.getpid()


class Multiprocessing:
    def __init__(self):
        self.pool = multiprocessing.Pool(WORKERS)

    def map(self, function, items, chunk=CHUNK):
        return self.pool.map(function, items, chunksize=chunk)

    def call(self, item):
        return self.pool.apply(echo, (item,))

    def close(self):
        self.pool.terminate()
        self.pool.join()


class Executor:
    def __init__(self, executor):
        self.executor = executor

    def map(self, function, items, chunk=CHUNK):
        return list(self.executor.map(function, items, chunksize=chunk))

    def call(self, item):
        return self.executor.submit(echo, item).result()

    def close(self):
        self.executor.shutdown()


MAKERS = {
    "multiprocessing": Multiprocessing,
    "futures": lambda: Executor(concurrent.futures.ProcessPoolExecutor(WORKERS)),
    "loky": lambda: Executor(loky.ProcessPoolExecutor(WORKERS)),
}


def items_of(count):
    return [i.to_bytes(8, "little") * 8 for i in range(count)]


def timed(work):
    start = time.perf_counter()
    answer = work()
    return time.perf_counter() - start, answer


def start(name):
    def work():
        pool = MAKERS[name]()
        pool.map(echo, [b"", b""], 1)
        return pool

    seconds, pool = timed(work)
    pool.close()
    return seconds


def private_bytes(process):
    with open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Private_"))


def main():
    pools = {}
    for line in sys.stdin:
        command, name, *count = line.split()
        if command == "start":
            print(start(name), flush=True)
            continue
        pool = pools.setdefault(name, None) or MAKERS[name]()
        pools[name] = pool
        if command == "memory":
            print(private_bytes(pool.map(pid, [0], 1)[0]), flush=True)
            continue
        items = items_of(int(count[0]) if command == "map" else 1)
        if command == "map":
            seconds, answers = timed(lambda: pool.map(echo, items))
            assert answers == items
        else:
            seconds = statistics.median(timed(lambda: pool.call(items[0]))[0] for _ in range(int(count[0])))
        print(seconds, flush=True)
    for pool in pools.values():
        pool.close()


if __name__ == "__main__":
    main()
