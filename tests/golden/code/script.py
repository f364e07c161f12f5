#!/usr/bin/env python3
"""Doc string
for while if def
"""
import os, sys as system
from concurrent.futures import ThreadPoolExecutor
from . import local
import numpy.linalg as la

# for x in y: if
def fact(n):
    if n <= 1:
        return 1
    return n * fact(n - 1)

class A:
    async def run(self, items):
        out = []
        for i in items:
            for j in range(i):
                while j:
                    out.append(j)  # for
                    j -= 1
        return [x for x in out if x] + list(
            y for y in items)

s = 'it''s "for" \' if'
with ThreadPoolExecutor(4) as pool:
    pool.map(fact, range(10))
