/*
 * calls.h: the addon's functions but `wait`, each between JavaScript's values and the file that does the work.
 */
#ifndef CARTON_CALLS_H
#define CARTON_CALLS_H

#include <node_api.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <uv.h>

#include "exits.h"
#include "frames.h"
#include "hints.h"
#include "holes.h"
#include "processes.h"
#include "values.h"
#include "worker_tasks.h"
#include "written.h"

/* A frame for JavaScript: { op, payload, fds }. The descriptors are JavaScript's from now on. */
static napi_value frame_object(napi_env env, struct frame *frame) {
  napi_value result, payload, fds;
  napi_create_object(env, &result);
  set_field(env, result, "op", (int32_t)frame->op);
  napi_create_string_utf8(env, (char *)frame->payload, frame->length, &payload);
  napi_set_named_property(env, result, "payload", payload);
  napi_create_array_with_length(env, frame->fd_count, &fds);
  for (uint32_t i = 0; i < frame->fd_count; i++) napi_set_element(env, fds, i, number(env, frame->fds[i]));
  napi_set_named_property(env, result, "fds", fds);
  free(frame->payload);
  return result;
}

/* socketPair(): two connected stream sockets, closed by exec. */
static napi_value socket_pair(napi_env env, napi_callback_info info) {
  (void)info;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return fail(env, "socketpair", errno);
  napi_value result;
  napi_create_array_with_length(env, 2, &result);
  for (uint32_t i = 0; i < 2; i++) napi_set_element(env, result, i, number(env, pair[i]));
  return result;
}

/*
 * send(socket, op, id, payload: string, descriptors): one frame. EAGAIN while the socket is full. After any error but
 * EPIPE and ECONNRESET the socket is as it was.
 */
static napi_value send_to(napi_env env, napi_callback_info info) {
  napi_value args[5];
  arguments(env, info, 5, args);
  size_t length = 0;
  napi_get_value_string_utf8(env, args[3], NULL, 0, &length);
  uint32_t count = 0;
  napi_get_array_length(env, args[4], &count);
  if (length > PAYLOAD_LIMIT || count > FDS_LIMIT) return fail(env, "send", EMSGSIZE);
  uint8_t *payload = malloc(length + 1);
  if (payload == NULL) return fail(env, "malloc", ENOMEM);
  napi_get_value_string_utf8(env, args[3], (char *)payload, length + 1, &length);
  int fds[FDS_LIMIT];
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    napi_get_element(env, args[4], i, &element);
    fds[i] = integer(env, element);
  }
  struct outgoing frame = {
    .op = (uint32_t)integer(env, args[1]), .id = (uint32_t)integer(env, args[2]),
    .payload = payload, .length = (uint32_t)length, .fds = fds, .fd_count = count,
  };
  int error = send_frame(integer(env, args[0]), &frame, false);
  free(payload);
  return error == 0 ? NULL : fail(env, "sendmsg", error);
}

/* exit(code): at once, without joining threads that a forked process does not have. */
static napi_value exit_now(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  fflush(NULL);
  _exit(integer(env, args[0]));
}

/* reapAdopted(): reaps what was born of others and has ended: pid, wait status, pid, wait status, … */
static napi_value reap_adopted(napi_env env, napi_callback_info info) {
  (void)info;
  struct adopted adopted;
  adopted.own_session = getsid(0);
  adopted.count = 0;
  each_child(reap_if_adopted, &adopted);
  napi_value result;
  napi_create_array_with_length(env, adopted.count * 2, &result);
  for (uint32_t i = 0; i < adopted.count; i++) {
    napi_set_element(env, result, i * 2, number(env, adopted.pids[i]));
    napi_set_element(env, result, i * 2 + 1, number(env, adopted.statuses[i]));
  }
  return result;
}

/* endedChildren(): pids of children that have ended and that nobody has waited for. */
static napi_value ended_children(napi_env env, napi_callback_info info) {
  (void)info;
  struct ended ended = {.count = 0};
  each_child(note_if_ended, &ended);
  napi_value result;
  napi_create_array_with_length(env, ended.count, &result);
  for (uint32_t i = 0; i < ended.count; i++) napi_set_element(env, result, i, number(env, ended.pids[i]));
  return result;
}

/* reap(pid): of a child that has ended. */
static napi_value reap_one(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  waitpid(integer(env, args[0]), NULL, WNOHANG);
  return NULL;
}

/* adoptOrphans(): orphans among the descendants become children of this process, prctl(2). */
static napi_value adopt_orphans(napi_env env, napi_callback_info info) {
  (void)info;
  return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 ? NULL : fail(env, "prctl", errno);
}

/* becomeSubreaper(): the same in a root template; nothing that is forked from it outlives both it and its starter. */
static napi_value become_subreaper(napi_env env, napi_callback_info info) {
  root_pid = getpid();
  starter_pid = getppid();
  int error = follow_ancestors(starter_pid);
  return error == 0 ? adopt_orphans(env, info) : fail(env, "prctl", error);
}

/* endUnheard(control): until it waits, this process and its group end once nobody holds the other end. */
static napi_value end_when_unheard(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  int error = end_unheard(integer(env, args[0]));
  return error == 0 ? NULL : fail(env, "fcntl", error);
}

/* openProcess(pid): a descriptor that becomes readable when the process ends, pidfd_open(2). */
static napi_value open_process(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  long fd = syscall(SYS_pidfd_open, integer(env, args[0]), 0);
  return fd < 0 ? fail(env, "pidfd_open", errno) : number(env, (int32_t)fd);
}

static void on_host_ended(uv_poll_t *watch, int status, int events) {
  (void)watch, (void)status, (void)events;
  end_self_and_group();
}

static void free_watch(uv_handle_t *watch) {
  free(watch);
}

/* endWith(pidfd): this process and its group end when that process does. Costs nothing while it lives. */
static napi_value end_with(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  uv_poll_t *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return fail(env, "calloc", ENOMEM);
  int error = uv_poll_init(loop_of(env), watch, integer(env, args[0]));
  if (error != 0) {
    free(watch);
    return fail(env, "uv_poll", -error);
  }
  error = uv_poll_start(watch, UV_READABLE, on_host_ended);
  if (error != 0) {
    uv_close((uv_handle_t *)watch, free_watch);
    return fail(env, "uv_poll", -error);
  }
  uv_unref((uv_handle_t *)watch);
  return NULL;
}

/*
 * receive(socket, host pidfd): blocks until a frame has come, and ends this process where none will: when nobody holds
 * the other end any more, or when its host has ended. Nothing of libuv runs meanwhile.
 */
static napi_value receive_from(napi_env env, napi_callback_info info) {
  napi_value args[2];
  arguments(env, info, 2, args);
  int fd = integer(env, args[0]);
  struct pollfd watched[2] = {{.fd = fd, .events = POLLIN}, {.fd = integer(env, args[1]), .events = POLLIN}};
  while (poll(watched, 2, -1) < 0) if (errno != EINTR) return fail(env, "poll", errno);
  if (watched[1].revents != 0) end_self_and_group();
  struct frame frame;
  if (receive_frame(fd, &frame) <= 0) _exit(0);
  uv_update_time(loop_of(env));
  return frame_object(env, &frame);
}

/* learnWritten(pid): see written.h; of a fork that is alive. */
static napi_value learn_of(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  learn_written((pid_t)integer(env, args[0]));
  return NULL;
}

/* copyWritten(): in a fork, all that a fork of the same template was seen to write. */
static napi_value copy_all_written(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  copy_written();
  return NULL;
}

/* ignoreHints(): see hints.h. Whether V8's pages lie together from now on. */
static napi_value ignore_all_hints(napi_env env, napi_callback_info info) {
  (void)info;
  return truth(env, ignore_hints());
}

/* fillHoles(): see holes.h. Whether what is allocated from now on lies at the end of the heap. */
static napi_value fill_all_holes(napi_env env, napi_callback_info info) {
  (void)info;
  return truth(env, fill_holes());
}

/* Connections that may wait to be accepted; libuv's own number. */
#define BACKLOG 511

/* listenAt(path): a unix socket that listens, which only this user may connect to. Closed by exec. */
static napi_value listen_at(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = 0;
  napi_get_value_string_utf8(env, args[0], NULL, 0, &length);
  if (length >= sizeof address.sun_path) return fail(env, "bind", ENAMETOOLONG);
  napi_get_value_string_utf8(env, args[0], address.sun_path, sizeof address.sun_path, &length);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(env, "socket", errno);
  /* The mode of the socket becomes that of its file, so that it never has another one. */
  const char *failed = fchmod(fd, 0600) != 0 ? "fchmod" : bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ? "bind" : listen(fd, BACKLOG) != 0 ? "listen" : NULL;
  if (failed == NULL) return number(env, fd);
  int error = errno;
  close(fd);
  return fail(env, failed, error);
}

/* runTasksHere(): see worker_tasks.h. Whether V8's tasks for other threads run on the threads that post them now. */
static napi_value run_tasks_here(napi_env env, napi_callback_info info) {
  (void)info;
  return truth(env, run_worker_tasks_here());
}

/* takeExits(before exit, exit): see exits.h. Whether Node's own way out is an immediate exit from now on. */
static napi_value take_exits(napi_env env, napi_callback_info info) {
  napi_value args[2];
  arguments(env, info, 2, args);
  int error = watch_loop_end(env, loop_of(env), args[0], args[1]);
  if (error != 0) return fail(env, "uv_prepare", -error);
  return truth(env, take_node_exits());
}

/* close(fd) */
static napi_value close_fd(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  close(integer(env, args[0]));
  return NULL;
}

#endif
