/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/transfer.h"

#include "guest/exec.h"
#include "guest/path.h"
#include "wire/credit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRANSFERS_MAX 32u
#define CHUNK_BYTES 65536u

struct transfer {
    struct transfer *next;
    struct agent *agent;
    uint32_t stream;
    bool is_put;
    int fd;
    int parent_fd;
    char base[256];
    char part[32]; /* the name while it is not whole */
    uint32_t mode;
    uid_t owner;
    uint64_t size, size_limit, left;
    struct wire_credit credit;
};

static struct transfer *transfer_find(struct agent *agent, uint32_t stream)
{
    struct transfer *transfer = agent->transfers;
    while (transfer && transfer->stream != stream)
        transfer = transfer->next;
    return transfer;
}

bool transfer_has_stream(struct agent *agent, uint32_t stream)
{
    return transfer_find(agent, stream) != NULL;
}

static void send_done(struct agent *agent, uint32_t stream, int error, uint64_t size, uint32_t mode)
{
    struct wire_file_done done = {.error = (uint32_t)error, .size = size, .mode = mode};
    if (error)
        done.text = wire_text(strerror(error));
    agent_send(agent, WIRE_TYPE_FILE_DONE, 0, stream, &done);
}

static void transfer_free(struct transfer *transfer)
{
    struct transfer **at = &transfer->agent->transfers;
    while (*at != transfer)
        at = &(*at)->next;
    *at = transfer->next;
    if (transfer->is_put && transfer->part[0])
        unlinkat(transfer->parent_fd, transfer->part, 0);
    if (transfer->fd >= 0)
        close(transfer->fd);
    if (transfer->parent_fd >= 0)
        close(transfer->parent_fd);
    free(transfer);
}

static void transfer_done(struct transfer *transfer, int error)
{
    send_done(transfer->agent, transfer->stream, error, transfer->size, transfer->mode);
    transfer_free(transfer);
}

static struct transfer *transfer_new(struct agent *agent, uint32_t stream)
{
    unsigned count = 0;
    for (struct transfer *other = agent->transfers; other; other = other->next)
        count++;
    struct transfer *transfer = count < TRANSFERS_MAX ? calloc(1, sizeof(*transfer)) : NULL;
    if (!transfer) {
        send_done(agent, stream, EMFILE, 0, 0);
        return NULL;
    }
    transfer->agent = agent;
    transfer->stream = stream;
    transfer->fd = transfer->parent_fd = -1;
    wire_credit_init(&transfer->credit);
    transfer->next = agent->transfers;
    agent->transfers = transfer;
    return transfer;
}

/* Below an execution's directory nothing is followed: whoever ran there may have laid links. */
static bool open_parent(struct transfer *transfer, struct wire_slice path, uint32_t exec_stream, bool create)
{
    int directory_fd = exec_stream ? exec_directory(transfer->agent, exec_stream, &transfer->owner) : -1;
    if (exec_stream && directory_fd < 0)
        errno = ESRCH;
    else if (exec_stream)
        transfer->parent_fd = path_open_parent(directory_fd, path, create, transfer->owner, transfer->base);
    else
        transfer->parent_fd = path_open_absolute_parent(path, transfer->base);
    return transfer->parent_fd >= 0;
}

void transfer_on_put(struct agent *agent, const struct wire_frame *frame)
{
    static uint32_t serial;
    struct wire_put_file request;
    if (!wire_put_file_read(frame, &request, NULL)) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_MESSAGE, "PUT_FILE does not decode");
        return;
    }
    struct transfer *transfer = transfer_new(agent, frame->stream);
    if (!transfer)
        return;
    transfer->is_put = true;
    transfer->mode = request.mode ? request.mode & 0777 : 0644;
    transfer->size_limit = request.size_limit_bytes ? request.size_limit_bytes : UINT64_MAX;
    if (open_parent(transfer, request.path, request.exec_stream, true)) {
        snprintf(transfer->part, sizeof(transfer->part), ".harbinger-%u", serial++);
        transfer->fd =
            openat(transfer->parent_fd, transfer->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (transfer->fd < 0)
        transfer_done(transfer, errno);
}

static int put_complete(struct transfer *transfer)
{
    if (transfer->owner != 0 && fchown(transfer->fd, transfer->owner, transfer->owner) != 0)
        return errno;
    if (fchmod(transfer->fd, transfer->mode) != 0)
        return errno;
    if (renameat(transfer->parent_fd, transfer->part, transfer->parent_fd, transfer->base) != 0)
        return errno;
    transfer->part[0] = '\0';
    return 0;
}

static int put_write(struct transfer *transfer, const struct wire_frame *frame)
{
    uint32_t done = 0;
    if (!wire_credit_received(&transfer->credit, frame->size))
        return EPROTO;
    if (transfer->size + frame->size > transfer->size_limit)
        return EFBIG;
    while (done < frame->size) {
        ssize_t n = write(transfer->fd, frame->payload + done, frame->size - done);
        if (n <= 0)
            return n < 0 ? errno : EIO;
        done += (uint32_t)n;
    }
    transfer->size += frame->size;
    return 0;
}

static void put_on_data(struct transfer *transfer, const struct wire_frame *frame)
{
    int error = put_write(transfer, frame);
    if (error == 0 && (frame->flags & WIRE_FLAG_FIN)) {
        transfer_done(transfer, put_complete(transfer));
        return;
    }
    if (error) {
        transfer_done(transfer, error);
        return;
    }
    struct wire_window window = {.credit = wire_credit_consumed(&transfer->credit, frame->size)};
    if (window.credit)
        agent_send(transfer->agent, WIRE_TYPE_WINDOW, 0, transfer->stream, &window);
}

/* Sends while there is credit and room. */
static void get_pump(struct transfer *transfer)
{
    static uint8_t bytes[CHUNK_BYTES];
    struct agent *agent = transfer->agent;
    while (transfer->credit.to_send > 0 && !channel_is_congested(&agent->channel)) {
        uint64_t size = transfer->left < sizeof(bytes) ? transfer->left : sizeof(bytes);
        if (size > transfer->credit.to_send)
            size = transfer->credit.to_send;
        ssize_t n = size ? read(transfer->fd, bytes, (size_t)size) : 0;
        if (n < 0) {
            transfer_done(transfer, errno);
            return;
        }
        agent_send_data(agent, WIRE_TYPE_DATA, n == 0 ? WIRE_FLAG_FIN : 0, transfer->stream, bytes, (size_t)n);
        if (n == 0) {
            transfer_done(transfer, 0);
            return;
        }
        transfer->size += (uint64_t)n;
        transfer->left -= (uint64_t)n;
        transfer->credit.to_send -= (uint32_t)n;
    }
}

static int get_open(struct transfer *transfer, const struct wire_get_file *request)
{
    struct stat status;
    int no_links = request->exec_stream ? O_NOFOLLOW : 0;
    if (!open_parent(transfer, request->path, request->exec_stream, false))
        return errno;
    transfer->fd = openat(transfer->parent_fd, transfer->base, O_RDONLY | O_NONBLOCK | O_CLOEXEC | no_links);
    if (transfer->fd < 0 || fstat(transfer->fd, &status) != 0)
        return errno;
    if (!S_ISREG(status.st_mode))
        return EISDIR;
    transfer->mode = status.st_mode & 07777;
    transfer->left = request->length ? request->length : UINT64_MAX;
    if (request->offset > INT64_MAX || lseek(transfer->fd, (off_t)request->offset, SEEK_SET) < 0)
        return EINVAL;
    return 0;
}

void transfer_on_get(struct agent *agent, const struct wire_frame *frame)
{
    struct wire_get_file request;
    if (!wire_get_file_read(frame, &request, NULL)) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_MESSAGE, "GET_FILE does not decode");
        return;
    }
    struct transfer *transfer = transfer_new(agent, frame->stream);
    if (!transfer)
        return;
    int error = get_open(transfer, &request);
    if (error)
        transfer_done(transfer, error);
    else
        get_pump(transfer);
}

static void get_on_window(struct transfer *transfer, const struct wire_frame *frame)
{
    struct wire_window window;
    if (!wire_window_read(frame, &window, NULL) || !wire_credit_granted(&transfer->credit, window.credit))
        transfer_done(transfer, EPROTO);
    else
        get_pump(transfer);
}

bool transfer_on_frame(struct agent *agent, const struct wire_frame *frame)
{
    struct transfer *transfer = transfer_find(agent, frame->stream);
    if (!transfer)
        return false;
    if (frame->type == WIRE_TYPE_DATA && transfer->is_put)
        put_on_data(transfer, frame);
    else if (frame->type == WIRE_TYPE_WINDOW && !transfer->is_put)
        get_on_window(transfer, frame);
    else
        return false;
    return true;
}

void transfer_resume_all(struct agent *agent)
{
    for (struct transfer *transfer = agent->transfers, *next; transfer; transfer = next) {
        next = transfer->next;
        if (!transfer->is_put)
            get_pump(transfer);
    }
}

void transfer_end_all(struct agent *agent)
{
    while (agent->transfers)
        transfer_free(agent->transfers);
}
