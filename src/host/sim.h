/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/hypervisor.h"

/* The simulated hypervisor, on virtual time: modelled latency, capacity and faults behind the same interface as libvirt's. It has no thread
 * and reads no clock: the caller's `now` is its time, and the same seed and commands give the same events. No event is posted by
 * hypervisor_submit(); what is due at once comes with the next hypervisor_advance(), each event with `at` set to its modelled time.
 *
 * The URI is "sim:NAME?key=value&...", its keys are the members of struct sim_model (sim-model.h); what a program does is written in its
 * source, see sim-course.h. Samples are taken while something runs. Instances outlive COMMAND_HOST_DISCONNECT, but not
 * hypervisor_free(). */

/* NULL with HBR_ERROR_INVALID when the URI is wrong; the message names the key. */
struct hypervisor *sim_hypervisor_new(const struct host_spec *spec, event_sink sink, gpointer sink_data,
                                      GError **error);
