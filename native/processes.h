/*
 * Processes that belong to this one: its children, adopted ones too, and the ancestors without which it must not live.
 * Used in templates, their forks, and whoever starts templates.
 */
#ifndef CARTON_PROCESSES_H
#define CARTON_PROCESSES_H

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "frames.h"

/* Linux 5.3; the number is the same on all architectures, and older headers do not have it. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* ---- the own children ------------------------------------------------------------------------------------------- */

typedef void (*child_visitor)(pid_t child, void *context);

/* /proc/<pid>/stat: pid (command) state ppid …; the command may hold parentheses and spaces. */
static pid_t parent_of(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) return -1;
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = '\0';
  const char *after = strrchr(text, ')');
  int parent = -1;
  return after != NULL && sscanf(after + 1, " %*c %d", &parent) == 1 ? parent : -1;
}

static void visit_directory(const char *path, child_visitor visit, void *context) {
  DIR *directory = opendir(path);
  if (directory == NULL) return;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    if (isdigit((unsigned char)entry->d_name[0])) visit((pid_t)atoi(entry->d_name), context);
  }
  closedir(directory);
}

struct visit {
  child_visitor visit;
  void *context;
  bool listed;
};

static void visit_children_of_thread(pid_t thread, void *context) {
  struct visit *visit = context;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)thread);
  FILE *children = fopen(path, "re");
  if (children == NULL) return;
  visit->listed = true;
  for (int pid; fscanf(children, "%d", &pid) == 1;) visit->visit((pid_t)pid, visit->context);
  fclose(children);
}

static void visit_if_child(pid_t pid, void *context) {
  struct visit *visit = context;
  if (parent_of(pid) == getpid()) visit->visit(pid, visit->context);
}

/* Kernels without CONFIG_PROC_CHILDREN do not list them: then all processes are looked at. */
static void each_child(child_visitor visitor, void *context) {
  struct visit visit = {.visit = visitor, .context = context};
  visit_directory("/proc/self/task", visit_children_of_thread, &visit);
  if (!visit.listed) visit_directory("/proc", visit_if_child, &visit);
}

/*
 * Tells of each child that has ended, before it is gone: if this process dies in between, its heir tells again.
 * 0 while there are others, ECHILD when there are none.
 */
static int reap(int control) {
  for (;;) {
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
      if (errno == EINTR) continue;
      return ECHILD;
    }
    if (info.si_pid == 0) return 0;
    uint8_t payload[8];
    put32(payload, (uint32_t)info.si_pid);
    /* As wait(2) has it, from what waitid(2) says. */
    uint32_t status = info.si_code == CLD_EXITED ? ((uint32_t)info.si_status & 0xff) << 8 : (uint32_t)info.si_status & 0x7f;
    put32(payload + 4, status);
    struct outgoing exited = {.op = OP_EXITED, .payload = payload, .length = sizeof payload};
    if (control >= 0) (void)send_frame(control, &exited, true);
    while (waitpid(info.si_pid, NULL, 0) < 0 && errno == EINTR) {}
  }
}

static void kill_with_group(pid_t pid, void *context) {
  (void)context;
  kill(-pid, SIGKILL);
  kill(pid, SIGKILL);
}

/* Kills every child with its group until none is left: as a subreaper, this process inherits theirs meanwhile. */
static void end_all(void) {
  for (;;) {
    each_child(kill_with_group, NULL);
    if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD) return;
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
  }
}

/* ---- children that were adopted --------------------------------------------------------------------------------- */

#define ADOPTED_AT_ONCE 512

struct adopted {
  pid_t own_session;
  int pids[ADOPTED_AT_ONCE], statuses[ADOPTED_AT_ONCE];
  size_t count;
};

/*
 * A process gets into a session by being born in it or by founding it. One that is in neither this process's session
 * nor its own was therefore born of another process and adopted later, and nobody here waits for it: reaping it takes
 * no exit away from libuv, which waits for its own children by pid. What else was adopted cannot be told from those.
 */
static void reap_if_adopted(pid_t pid, void *context) {
  struct adopted *adopted = context;
  if (adopted->count >= ADOPTED_AT_ONCE) return;
  pid_t session = getsid(pid);
  /* 0: in a session of another namespace of pids. */
  if (session <= 0 || session == pid || session == adopted->own_session) return;
  int status;
  if (waitpid(pid, &status, WNOHANG) != pid) return;
  adopted->pids[adopted->count] = (int)pid;
  adopted->statuses[adopted->count++] = status;
}

struct ended {
  int pids[ADOPTED_AT_ONCE];
  size_t count;
};

static void note_if_ended(pid_t pid, void *context) {
  struct ended *ended = context;
  siginfo_t info = {.si_pid = 0};
  if (ended->count >= ADOPTED_AT_ONCE || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return;
  if (info.si_pid == pid) ended->pids[ended->count++] = (int)pid;
}

/* ---- ancestors -------------------------------------------------------------------------------------------------- */

/*
 * The kernel tells each process of a tree when its parent ends (PR_SET_PDEATHSIG, also when the one that adopted it
 * ends). While root or starter adopts it, somebody owns it. With both gone nobody could end it any more, also if it
 * spins and never looks at its channel: it ends itself.
 */
static pid_t root_pid, starter_pid;
/* Who forked this process: its thread may end before it, and then another of its threads is the parent for a moment. */
static pid_t first_parent;
/* While a template waits, it sees the end of its host itself, and ends its children first. */
static volatile sig_atomic_t is_waiting = 0;

/* Only a group of its own, which others might share otherwise. */
static void end_self_and_group(void) {
  if (getpgrp() == getpid()) kill(0, SIGKILL);
  kill(getpid(), SIGKILL);
}

static void end_if_abandoned(void) {
  pid_t parent = getppid();
  if (!is_waiting && parent != first_parent && parent != root_pid && parent != starter_pid) end_self_and_group();
}

/* ---- whoever gives orders --------------------------------------------------------------------------------------- */

/* The control socket of a template that boots; -1 for one that waits, and sees the end of it by itself. */
static volatile sig_atomic_t heard_at = -1;

static void end_if_unheard(void) {
  struct pollfd control = {.fd = heard_at};
  if (control.fd >= 0 && poll(&control, 1, 0) == 1 && (control.revents & POLLHUP) != 0) end_self_and_group();
}

/* A handler of a signal, since a process that spins looks at nothing else. */
static void on_other_ended(int signal) {
  (void)signal;
  int error = errno;
  end_if_abandoned();
  end_if_unheard();
  errno = error;
}

static int notice_others(int signal) {
  struct sigaction action = {.sa_handler = on_other_ended, .sa_flags = SA_RESTART};
  return sigaction(signal, &action, NULL) == 0 ? 0 : errno;
}

/*
 * The kernel signals what happens to the socket, the close of its other end too (O_ASYNC, fcntl(2)): by SIGIO where its
 * queue of signals is full.
 */
static int end_unheard(int control) {
  int error = notice_others(SIGRTMAX);
  if (error == 0) error = notice_others(SIGIO);
  if (error != 0) return error;
  heard_at = control;
  if (fcntl(control, F_SETSIG, SIGRTMAX) != 0 || fcntl(control, F_SETOWN, getpid()) != 0) return errno;
  if (fcntl(control, F_SETFL, fcntl(control, F_GETFL) | O_ASYNC) != 0) return errno;
  end_if_unheard();
  return 0;
}

static void hear_by_itself(void) {
  if (heard_at < 0) return;
  fcntl(heard_at, F_SETFL, fcntl(heard_at, F_GETFL) & ~O_ASYNC);
  signal(SIGIO, SIG_DFL);
  heard_at = -1;
}

/* ---- its parent ------------------------------------------------------------------------------------------------- */

/* `parent` is who forked this process; it may have ended before the kernel was asked to tell. */
static int follow_ancestors(pid_t parent) {
  if (root_pid == 0) return 0;
  first_parent = parent;
  int error = notice_others(SIGRTMAX);
  if (error != 0) return error;
  if (prctl(PR_SET_PDEATHSIG, SIGRTMAX, 0, 0, 0) != 0) return errno;
  end_if_abandoned();
  return 0;
}

#endif
