/* libstrophe, the compiled reference. See task.py for what a client is asked to do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <time.h>

#define DOMAIN "bench.example"
#define IN_FLIGHT 100

static xmpp_ctx_t *ctx;
static unsigned short port;
static const char *resource, *mode = "serve", *cafile = "";
static int number = 1, started;
static long count, left, in_flight, asked, serial;
static double begun, *times;
static volatile const char *seen[3];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void send_message(xmpp_conn_t *conn, const char *to, const char *text) {
  xmpp_stanza_t *message = xmpp_message_new(ctx, "chat", to, NULL);
  xmpp_message_set_body(message, text);
  xmpp_send(conn, message);
  xmpp_stanza_release(message);
}

static void out(xmpp_conn_t *conn, long n) {
  char to[64], text[128];
  for (long i = 0; i < n; i++) {
    snprintf(to, sizeof to, "montague%ld@" DOMAIN "/street", i % 20);
    snprintf(text, sizeof text, "message %ld: but soft, what light through yonder window breaks", i);
    send_message(conn, to, text);
  }
  send_message(conn, "control@" DOMAIN, "done");
}

static int ponged(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *data);

static void request(xmpp_conn_t *conn) {
  char id[32];
  snprintf(id, sizeof id, "q%ld", ++serial);
  xmpp_stanza_t *iq = xmpp_iq_new(ctx, "get", id), *ping = xmpp_stanza_new(ctx);
  xmpp_stanza_set_to(iq, DOMAIN);
  xmpp_stanza_set_name(ping, "ping");
  xmpp_stanza_set_ns(ping, "urn:xmpp:ping");
  xmpp_stanza_add_child(iq, ping);
  xmpp_stanza_release(ping);
  xmpp_id_handler_add(conn, ponged, id, NULL);
  begun = now();
  xmpp_send(conn, iq);
  xmpp_stanza_release(iq);
}

static int by_time(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static int ponged(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *data) {
  (void)stanza, (void)data;
  char text[64] = "done";
  if (times) times[asked - left - 1] = now() - begun;
  if (left) {
    left--;
    request(conn);
  } else if (!--in_flight) {
    if (times) {
      qsort(times, asked, sizeof *times, by_time);
      snprintf(text, sizeof text, "done %.1f %.1f", times[asked / 2] * 1e6, times[asked * 99 / 100] * 1e6);
      free(times);
      times = NULL;
    }
    send_message(conn, "control@" DOMAIN, text);
  }
  return 0;
}

static void ask(xmpp_conn_t *conn, long n, int together) {
  asked = n;
  left = n - together;
  in_flight = together;
  times = together == 1 ? calloc(n, sizeof *times) : NULL;
  for (int i = 0; i < together; i++) request(conn);
}

static int on_message(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *data) {
  (void)data;
  char text[64];
  long n = 0;
  count++;
  seen[0] = xmpp_stanza_get_from(stanza);
  seen[1] = xmpp_stanza_get_type(stanza);
  seen[2] = xmpp_stanza_get_id(stanza);
  xmpp_stanza_t *child = xmpp_stanza_get_child_by_name(stanza, "body");
  if (!child) return 1;
  char *body = xmpp_stanza_get_text(child);
  if (body && body[0] == '!') {
    if (!strncmp(body, "!end", 4)) {
      snprintf(text, sizeof text, "done %ld", count - 1);
      send_message(conn, "control@" DOMAIN, text);
    } else if (sscanf(body, "!out %ld", &n)) {
      out(conn, n);
    } else if (sscanf(body, "!ping %ld", &n)) {
      ask(conn, n, 1);
    } else if (sscanf(body, "!flood %ld", &n)) {
      ask(conn, n, IN_FLIGHT);
    }
    count = 0;
  }
  xmpp_free(ctx, body);
  return 1;
}

static int on_presence(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *data) {
  (void)conn, (void)data;
  count++;
  seen[0] = xmpp_stanza_get_from(stanza);
  seen[1] = xmpp_stanza_get_type(stanza);
  xmpp_stanza_t *show = xmpp_stanza_get_child_by_name(stanza, "show");
  seen[2] = show ? xmpp_stanza_get_name(show) : NULL;
  return 1;
}

static void start(void);

static void on_connection(xmpp_conn_t *conn, xmpp_conn_event_t event, int error, xmpp_stream_error_t *stream_error,
                          void *data) {
  (void)error, (void)stream_error, (void)data;
  if (event == XMPP_CONN_CONNECT) {
    xmpp_handler_add(conn, on_message, NULL, "message", NULL, NULL);
    xmpp_handler_add(conn, on_presence, NULL, "presence", NULL, NULL);
    xmpp_stanza_t *presence = xmpp_presence_new(ctx);
    xmpp_send(conn, presence);
    xmpp_stanza_release(presence);
    if (!strcmp(mode, "connect")) xmpp_disconnect(conn);
    if (!strcmp(mode, "idle") && started < number) start();
  } else if (!strcmp(mode, "connect") && started < number) {
    start();
  } else {
    xmpp_stop(ctx);
  }
}

static void start(void) {
  char jid[128];
  xmpp_conn_t *conn = xmpp_conn_new(ctx);
  if (!strcmp(mode, "idle")) {
    snprintf(jid, sizeof jid, "bench@" DOMAIN "/%s.%d", resource, started);
  } else {
    snprintf(jid, sizeof jid, "bench@" DOMAIN "/%s", resource);
  }
  started++;
  xmpp_conn_set_flags(conn, *cafile ? XMPP_CONN_FLAG_MANDATORY_TLS : XMPP_CONN_FLAG_DISABLE_TLS);
  if (*cafile) xmpp_conn_set_cafile(conn, cafile);
  xmpp_conn_set_jid(conn, jid);
  xmpp_conn_set_pass(conn, "secret");
  if (xmpp_connect_client(conn, "127.0.0.1", port, on_connection, NULL) != XMPP_EOK) exit(1);
}

int main(int argc, char **argv) {
  char line[16];
  if (argc < 3) return 2;
  port = (unsigned short)atoi(argv[1]);
  resource = argv[2];
  if (argc > 3) mode = argv[3];
  if (argc > 4) number = atoi(argv[4]);
  if (argc > 5) cafile = argv[5];
  xmpp_initialize();
  ctx = xmpp_ctx_new(NULL, NULL);
  xmpp_ctx_set_timeout(ctx, 1000); /* milliseconds: what arrives or is sent wakes it anyway */
  puts("up");
  fflush(stdout);
  if (!fgets(line, sizeof line, stdin)) return 1;
  start();
  xmpp_run(ctx);
  return 0;
}
