# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-host.la
libhbr_host_la_CFLAGS = $(ROOM_CFLAGS) $(LIBVIRT_CFLAGS) $(LIBXML2_CFLAGS)
libhbr_host_la_SOURCES =

# The simulated kind.
libhbr_host_la_SOURCES += \
	src/host/sim-course.c src/host/sim-course.h \
	src/host/sim-guest.c src/host/sim-instance.c \
	src/host/sim-model.c src/host/sim-model.h \
	src/host/sim-private.h \
	src/host/sim-alarm.c src/host/sim-migrate.c src/host/sim-run.c src/host/sim-run.h src/host/sim-saved.c src/host/sim-shape.c src/host/sim-stage.c \
	src/host/sim-start.c src/host/sim-warm.c \
	src/host/sim.c src/host/sim.h

# The libvirt kind.
libhbr_host_la_SOURCES += \
	src/host/channel.c src/host/channel.h src/host/domain-clone.c src/host/domain-live.c src/host/domain-xml.c src/host/domain-xml.h \
	src/host/file-copy.c src/host/file-copy.h src/host/guest.h src/host/hypervisor.c src/host/hypervisor.h src/host/inbox.c src/host/inbox.h \
	src/host/kvm-proof.c src/host/kvm-proof.h src/host/machine-speed.c src/host/machine-speed.h src/host/libvirt-calls.c src/host/libvirt-calls.h \
	src/host/libvirt-clone.c src/host/libvirt-connect.c src/host/libvirt-error.c src/host/libvirt-error.h src/host/libvirt-host.c \
	src/host/libvirt-host.h src/host/libvirt-life.c src/host/libvirt-link.c src/host/libvirt-link.h \
	src/host/libvirt-migrate.c src/host/libvirt-save.c src/host/libvirt-stream.c src/host/libvirt-stream.h \
	src/host/qga-call.c src/host/qga-call.h src/host/qga-guest.c src/host/qga-json.c src/host/qga-json.h \
	src/host/save-image.c src/host/save-image.h src/host/saved-origin.c src/host/saved-store.c src/host/saved-store.h \
	src/host/session.c src/host/session.h src/host/session-run.c src/host/template.c src/host/template.h \
	src/host/process.c src/host/process.h src/host/vm.c src/host/vm.h src/host/vm-channel.c src/host/vm-hold.c src/host/vm-migrate.c src/host/vm-pause.c src/host/vm-run.c src/host/vm-sample.c \
	src/host/vm-gpu.c src/host/vm-save.c src/host/vm-shape.c src/host/vm-warm.c \
	src/host/workers.c src/host/workers.h src/host/xml.c src/host/xml.h
