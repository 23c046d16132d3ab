/*
 * signals.h: what a template does with signals while it waits in native code. Used in templates; forks get back what was
 * there before.
 */
#ifndef CARTON_SIGNALS_H
#define CARTON_SIGNALS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

/*
 * Taken once, when a template begins to wait, and given back in its forks: none of the template's JavaScript runs
 * afterwards but what an order asks for, and a signal that arrives meanwhile is not lost. Handlers may run on any of
 * Node's threads; they write one byte, which only ends the wait, so that a full pipe loses nothing.
 */
static int signal_pipe[2] = {-1, -1};
static volatile sig_atomic_t told_to_end = 0;

static void note_signal(int signal) {
  int error = errno;
  if (signal == SIGTERM) told_to_end = 1;
  if (write(signal_pipe[1], "", 1) < 0) {}
  errno = error;
}

/* Noted: the end of a child, and an order to end. Left alone: what a terminal or a debugger sends to whole groups. */
static const int NOTED[] = {SIGCHLD, SIGTERM};
static const int IGNORED[] = {SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static struct sigaction noted_before[COUNT(NOTED)], ignored_before[COUNT(IGNORED)];

static int take_signals(void) {
  if (signal_pipe[0] >= 0) return 0;
  if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return errno;
  struct sigaction note = {.sa_handler = note_signal, .sa_flags = SA_RESTART}, ignore = {.sa_handler = SIG_IGN};
  for (size_t i = 0; i < COUNT(NOTED); i++) sigaction(NOTED[i], &note, &noted_before[i]);
  for (size_t i = 0; i < COUNT(IGNORED); i++) sigaction(IGNORED[i], &ignore, &ignored_before[i]);
  return 0;
}

static void restore_signals(void) {
  for (size_t i = 0; i < COUNT(NOTED); i++) sigaction(NOTED[i], &noted_before[i], NULL);
  for (size_t i = 0; i < COUNT(IGNORED); i++) sigaction(IGNORED[i], &ignored_before[i], NULL);
  close(signal_pipe[0]);
  close(signal_pipe[1]);
  signal_pipe[0] = signal_pipe[1] = -1;
  told_to_end = 0;
}

#endif
