/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How fast one CPU of this machine is beside the one that the shipped model's runs were on (Intel Core i5-3330, 3.0 GHz): 1 is as fast, 2 twice. From some
 * 30 ms of integer, floating point and memory work by the calling thread's own CPU time: the geometric mean of the three. Any thread. */
double machine_speed(void);

/* What is left of it for a guest without KVM. */
#define MACHINE_SPEED_TCG 0.1
