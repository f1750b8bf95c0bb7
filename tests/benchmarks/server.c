/* The server of the benchmarks: one thread, one epoll loop, and as little work per stanza as can be.
 *
 * It lets anybody in (ANONYMOUS, PLAIN, or an honest SCRAM-SHA-1), answers what a client may ask, counts what it gets,
 * and blasts prepared laps of stanzas, over TCP or over WebSocket. It is told what to do on its standard input and says what happened on its
 * standard output, a JSON object per line; harness.py knows both. A measurement begins just before the first byte of a
 * task is written and ends when the client's own "done" has been read. CPU time is taken from the clock of the
 * client's process, by its id, so that all clients are measured alike, with the server's own beside it.
 *
 * usage: server SALT(base64) ITERATIONS SERVER_KEY(hex) [CERTIFICATE.pem KEY.pem]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif
#include "server.h"
#include "websocket.h"

#define DOMAIN "bench.example"
#define CONTROL "control@" DOMAIN

typedef struct {
  char *data;
  size_t length, capacity;
} Buffer;

/* Prepared stanzas, with the offsets of where blocks of them end. */
typedef struct {
  char path[512];
  int framed; /* each in a frame of WebSocket */
  char *data;
  size_t length, blocks, ends[4096];
} Lap;

typedef struct {
  int fd, role;
  int open;         /* whether there is a WebSocket */
  Buffer raw;       /* what came of it and is not in `in` yet */
  Buffer in, out;
  size_t written; /* of `out` */
  Scanner scanner;
  int authenticated, is_ready;
  int want_write;
  char resource[64], user[64], bare[512], server_first[512], id[16];
  int managed, hold_acks;
  uint32_t handled;
  long messages, asked; /* whether we are alive, by a ping or by <r/> */
  const Lap *lap;
  long laps;
  size_t block, offset;
  int ending; /* say "!end" once the laps are written */
  int measuring;
  pid_t pid;
  double wall, cpu, own, accepted;
  long messages_before;
  size_t bytes;
#ifdef WITH_TLS
  SSL *ssl;
#endif
} Conn;

enum { PLAIN_TCP, MANAGED, TLS_PLAIN, TLS_SCRAM, WEBSOCKET, ROLES }; /* the last one is managed, too */
#define MAX_FD 65536

static Conn *conns[MAX_FD];
static int epoll, listeners[ROLES];
static const char *salt, *iterations;
static unsigned char server_key[20];
static pid_t watched; /* whose CPU time is told with each new session */
static long total_ready, total_open;
static int should_quit;
#ifdef WITH_TLS
static SSL_CTX *tls;
#endif

static double clock_of(clockid_t id) {
  struct timespec now;
  return clock_gettime(id, &now) ? -1 : now.tv_sec + now.tv_nsec / 1e9;
}

static double cpu_of(pid_t pid) {
  clockid_t id;
  return pid > 0 && !clock_getcpuclockid(pid, &id) ? clock_of(id) : -1;
}

static void reserve(Buffer *buffer, size_t more) {
  if (buffer->length + more <= buffer->capacity) return;
  buffer->capacity = (buffer->length + more) * 2;
  buffer->data = realloc(buffer->data, buffer->capacity);
  if (!buffer->data) abort();
}

static void add(Buffer *buffer, const char *data, size_t length) {
  reserve(buffer, length);
  memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
}

static void add_frame(Buffer *buffer, int opcode, const char *data, size_t length) {
  char header[10];
  add(buffer, header, frame_header(header, opcode, length));
  add(buffer, data, length);
}

/* Make a document in a frame of an element (RFC 7395): nothing is inherited there. */
static void add_document(Buffer *buffer, const char *data, size_t length) {
  static const char declared[] = " xmlns='jabber:client'";
  size_t name = 1 + strcspn(data + 1, " />"), more = sizeof declared - 1;
  const char *end = memchr(data, '>', length);
  char header[10];
  if (memmem(data, end - data, " xmlns=", 7) || memchr(data, ':', name)) {
    add_frame(buffer, TEXT_FRAME, data, length);
    return;
  }
  add(buffer, header, frame_header(header, TEXT_FRAME, length + more));
  add(buffer, data, name);
  add(buffer, declared, more);
  add(buffer, data + name, length - name);
}

/* Say something; over WebSocket, one element. */
static void say(Conn *c, const char *format, ...) {
  char text[8192];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (length < 0 || (size_t)length >= sizeof text) abort();
  if (c->open) {
    add_document(&c->out, text, length);
  } else {
    add(&c->out, text, length);
  }
}

/* ------------------------------------------------------------------------------------------------ the socket */

static ssize_t put(Conn *c, const char *data, size_t length) {
#ifdef WITH_TLS
  if (c->ssl) {
    int n = SSL_write(c->ssl, data, length > 1 << 20 ? 1 << 20 : (int)length);
    if (n > 0) return n;
    int why = SSL_get_error(c->ssl, n);
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    ERR_clear_error();
    return -1;
  }
#endif
  return write(c->fd, data, length);
}

static ssize_t take(Conn *c, char *data, size_t length) {
#ifdef WITH_TLS
  if (c->ssl) {
    int n = SSL_read(c->ssl, data, (int)length);
    if (n > 0) return n;
    int why = SSL_get_error(c->ssl, n);
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    ERR_clear_error();
    return -1;
  }
#endif
  return read(c->fd, data, length);
}

static void hang_up(Conn *c) {
#ifdef WITH_TLS
  if (c->ssl) SSL_free(c->ssl);
#endif
  if (c->is_ready) {
    total_open--;
    printf("{\"event\":\"gone\",\"conn\":%d,\"resource\":\"%s\",\"measuring\":%d}\n", c->fd, c->resource, c->measuring);
    fflush(stdout);
  }
  close(c->fd);
  conns[c->fd] = NULL;
  free(c->raw.data);
  free(c->in.data);
  free(c->out.data);
  free(c);
}

static void want(Conn *c, int write_too) {
  if (c->want_write == write_too) return;
  c->want_write = write_too;
  struct epoll_event event = {.events = EPOLLIN | (write_too ? EPOLLOUT : 0), .data.fd = c->fd};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

/* Write what there is, answers before laps, laps in whole blocks of stanzas. 0 if the connection is broken. */
static int flush(Conn *c) {
  for (;;) {
    if (!c->offset) {
      while (c->written < c->out.length) {
        ssize_t n = put(c, c->out.data + c->written, c->out.length - c->written);
        if (n < 0) {
          want(c, 1);
          return errno == EAGAIN;
        }
        c->written += n;
      }
      c->out.length = c->written = 0;
    }
    if (!c->lap) break;
    size_t start = c->block ? c->lap->ends[c->block - 1] : 0, end = c->lap->ends[c->block];
    ssize_t n = put(c, c->lap->data + start + c->offset, end - start - c->offset);
    if (n < 0) {
      want(c, 1);
      return errno == EAGAIN;
    }
    c->bytes += n;
    c->offset += n;
    if (start + c->offset == end) {
      c->offset = 0;
      if (++c->block == c->lap->blocks) {
        c->block = 0;
        if (!--c->laps) {
          c->lap = NULL;
          say(c, "<message from='" CONTROL "' to='%s@" DOMAIN "/%s' type='chat' id='end'><body>!end</body></message>",
              c->user, c->resource);
        }
      }
    }
  }
  want(c, 0);
  return 1;
}

/* ------------------------------------------------------------------------------------------------ the dialogue */

static void features(Conn *c) {
  const char *mechanisms[] = {
      [PLAIN_TCP] = "<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism><mechanism>ANONYMOUS</mechanism>",
      [TLS_PLAIN] = "<mechanism>PLAIN</mechanism>",
      [TLS_SCRAM] = "<mechanism>SCRAM-SHA-1</mechanism>",
  };
  int is_tls = c->role == TLS_PLAIN || c->role == TLS_SCRAM, is_managed = c->role == MANAGED || c->role == WEBSOCKET;
  int secure = 0;
  char offer[512];
#ifdef WITH_TLS
  secure = c->ssl != NULL;
#endif
  if (is_tls && !secure) {
    strcpy(offer, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
  } else if (!c->authenticated) {
    snprintf(offer, sizeof offer, "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</mechanisms>",
             mechanisms[is_tls ? c->role : PLAIN_TCP]);
  } else {
    snprintf(offer, sizeof offer, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
             "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>%s",
             is_managed ? "<sm xmlns='urn:xmpp:sm:3'/>" : "");
  }
  if (c->open) {
    say(c, "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='s%d' from='" DOMAIN "' version='1.0' xml:lang='en'/>",
        c->fd);
    say(c, "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>%s</stream:features>", offer);
  } else {
    say(c, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
           "id='s%d' from='" DOMAIN "' version='1.0' xml:lang='en'><stream:features>%s</stream:features>",
        c->fd, offer);
  }
}

static void failure(Conn *c) {
  say(c, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>");
}

static void success(Conn *c, const char *data) {
  c->authenticated = 1;
  c->scanner.depth = c->open; /* another stream header follows, which is an element for WebSocket */
  say(c, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</success>", data);
}

static void auth(Conn *c, const char *element, size_t length) {
  char mechanism[32], text[512], said[512];
  if (!attribute(element, length, "mechanism", mechanism, sizeof mechanism)) return failure(c);
  content(element, length, text, sizeof text);
  int size = base64_decode(text, said, sizeof said - 1);
  said[size < 0 ? 0 : size] = 0;
  if (!strcmp(mechanism, "ANONYMOUS")) {
    strcpy(c->user, "anonymous");
    success(c, "");
  } else if (!strcmp(mechanism, "PLAIN")) { /* authzid NUL authcid NUL password, and any password will do */
    snprintf(c->user, sizeof c->user, "%s", said + strlen(said) + 1);
    success(c, "");
  } else if (!strcmp(mechanism, "SCRAM-SHA-1")) {
    char *bare = strstr(said, ",n=") ? strstr(said, ",n=") + 1 : NULL, *nonce = bare ? strstr(bare, ",r=") : NULL;
    if (!nonce) return failure(c);
    snprintf(c->bare, sizeof c->bare, "%s", bare);
    snprintf(c->user, sizeof c->user, "%.*s", (int)(nonce - bare - 2), bare + 2);
    snprintf(c->server_first, sizeof c->server_first, "r=%.400sbench%d,s=%.40s,i=%.10s", nonce + 3, c->fd, salt,
             iterations);
    char encoded[1024];
    base64_encode((unsigned char *)c->server_first, strlen(c->server_first), encoded);
    say(c, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</challenge>", encoded);
  } else {
    failure(c);
  }
}

static void response(Conn *c, const char *element, size_t length) {
  char text[1024], said[1024], message[2048], encoded[64], value[128];
  content(element, length, text, sizeof text);
  int size = base64_decode(text, said, sizeof said - 1);
  said[size < 0 ? 0 : size] = 0;
  char *proof = strstr(said, ",p=");
  if (!proof) return success(c, ""); /* the empty response after a last challenge */
  snprintf(message, sizeof message, "%s,%s,%.*s", c->bare, c->server_first, (int)(proof - said), said);
  unsigned char signature[20];
  hmac_sha1(server_key, sizeof server_key, (unsigned char *)message, strlen(message), signature);
  base64_encode(signature, sizeof signature, encoded);
  snprintf(value, sizeof value, "v=%s", encoded);
  base64_encode((unsigned char *)value, strlen(value), text);
  success(c, text);
}

static void ready(Conn *c) {
  c->is_ready = 1;
  total_ready++;
  total_open++;
  printf("{\"event\":\"ready\",\"conn\":%d,\"resource\":\"%s\",\"wall\":%.9f,\"cpu\":%.9f,\"managed\":%d}\n", c->fd,
         c->resource, clock_of(CLOCK_MONOTONIC) - c->accepted, cpu_of(watched), c->managed);
  fflush(stdout);
}

static void iq(Conn *c, const char *element, size_t length) {
  char id[256], to[512], type[16], from[600] = "";
  if (!attribute(element, length, "type", type, sizeof type) || !attribute(element, length, "id", id, sizeof id)) return;
  if (type[0] != 'g' && type[0] != 's') return;
  if (attribute(element, length, "to", to, sizeof to)) snprintf(from, sizeof from, " from='%s'", to);
  if (strstr(from, "nobody@")) return; /* who never answers */
  if (memmem(element, length, "urn:ietf:params:xml:ns:xmpp-bind", 32)) {
    const char *wish = memmem(element, length, "resource>", 9);
    if (wish) content(wish - 1, length - (wish - 1 - element), c->resource, sizeof c->resource);
    if (!c->resource[0]) snprintf(c->resource, sizeof c->resource, "r%d", c->fd);
    say(c, "<iq type='result' id='%s'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>%s@" DOMAIN "/%s</jid></bind>"
           "</iq>", id, c->user, c->resource);
    return;
  }
  const char *payload = "";
  if (memmem(element, length, "jabber:iq:roster", 16)) {
    payload = "<query xmlns='jabber:iq:roster'/>";
  } else if (memmem(element, length, "disco#info", 10)) {
    payload = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='server' type='im'/><feature "
              "var='urn:xmpp:ping'/></query>";
  } else if (memmem(element, length, "urn:xmpp:ping", 13)) {
    c->asked++;
  }
  say(c, "<iq type='result' id='%s'%s to='%s@" DOMAIN "/%s'>%s</iq>", id, from, c->user, c->resource, payload);
}

static void done(Conn *c, const char *element, size_t length) {
  double wall = clock_of(CLOCK_MONOTONIC), own = clock_of(CLOCK_PROCESS_CPUTIME_ID);
  usleep(2000); /* the clock of a process that runs may lag by a tick; of one that waits it does not */
  double cpu = cpu_of(c->pid);
  char text[4096];
  const char *body = memmem(element, length, "<body", 5);
  if (!c->measuring || !body) return;
  content(body, length - (body - element), text, sizeof text);
  printf("{\"event\":\"done\",\"conn\":%d,\"wall\":%.9f,\"cpu\":%.9f,\"server\":%.9f,\"messages\":%ld,\"bytes\":%zu,"
         "\"text\":\"%s\"}\n",
         c->fd, wall - c->wall, cpu - c->cpu, own - c->own, c->messages - c->messages_before - 1, c->bytes, text);
  fflush(stdout);
  c->measuring = 0;
}

static void start_tls(Conn *c) {
  say(c, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  c->scanner.depth = 0;
  flush(c);
#ifdef WITH_TLS
  c->ssl = SSL_new(tls);
  SSL_set_fd(c->ssl, c->fd);
  SSL_set_accept_state(c->ssl); /* the first read shakes hands */
  SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#endif
}

static void acknowledge(Conn *c) {
  if (!c->hold_acks) say(c, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", c->handled);
}

/* A first-level element is complete. */
static void element(Conn *c, const char *data, size_t length) {
  char name[32];
  local_name(data, length, name, sizeof name);
  if (!strcmp(name, "message")) {
    c->handled++;
    c->messages++;
    if (memmem(data, length < 200 ? length : 200, CONTROL, sizeof CONTROL - 1)) done(c, data, length);
  } else if (!strcmp(name, "iq")) {
    c->handled++;
    iq(c, data, length);
  } else if (!strcmp(name, "presence")) {
    c->handled++;
    if (!c->is_ready) ready(c);
  } else if (!strcmp(name, "r")) {
    c->asked++;
    acknowledge(c);
  } else if (!strcmp(name, "enable")) {
    c->managed = 1;
    c->handled = 0;
    say(c, "<enabled xmlns='urn:xmpp:sm:3' id='sm%d' resume='true' max='600'/>", c->fd);
  } else if (!strcmp(name, "auth")) {
    auth(c, data, length);
  } else if (!strcmp(name, "response")) {
    response(c, data, length);
  } else if (!strcmp(name, "starttls")) {
    start_tls(c);
  } else if (!strcmp(name, "open")) {
    features(c);
  } else if (!strcmp(name, "close")) {
    say(c, "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
  } else if (!strcmp(name, "resume")) {
    say(c, "<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>");
  }
}

/* Take apart what has arrived. 0 when the client has closed its stream. */
static int digest(Conn *c) {
  Token token;
  const char *data = c->in.data;
  while (scan(&c->scanner, data, c->in.length, &token)) {
    if (token.kind == HEADER) features(c);
    if (token.kind == ELEMENT) element(c, data + token.start, token.end - token.start);
    if (token.kind == FOOTER) {
      say(c, "</stream:stream>");
      flush(c);
      return 0;
    }
  }
  size_t keep = c->scanner.inside ? c->scanner.start : c->scanner.position;
  memmove(c->in.data, c->in.data + keep, c->in.length - keep);
  c->in.length -= keep;
  c->scanner.position -= keep;
  c->scanner.start -= c->scanner.inside ? keep : c->scanner.start;
  return 1;
}

/* Take elements out of frames. 0 when the WebSocket is being closed, or the client does not want one. */
static int unwrap(Conn *c) {
  char *data = c->raw.data;
  size_t length = c->raw.length, position = 0;
  int is_over = 0;
  Frame frame;
  if (!c->open) {
    char answer[512];
    int used = shake_hands(data, length, answer, sizeof answer);
    if (used <= 0) return !used;
    add(&c->out, answer, strlen(answer));
    position = used;
    c->open = c->scanner.depth = 1;
  }
  while (!is_over && find_frame(data + position, length - position, &frame)) {
    char *payload = data + position + frame.start;
    if (frame.opcode < CLOSE_FRAME) {
      reserve(&c->in, frame.length);
      unmask(c->in.data + c->in.length, payload, frame.length, frame.mask);
      c->in.length += frame.length;
    } else if (frame.opcode != PONG_FRAME) {
      is_over = frame.opcode == CLOSE_FRAME;
      unmask(payload, payload, frame.length, frame.mask);
      add_frame(&c->out, is_over ? CLOSE_FRAME : PONG_FRAME, payload, frame.length);
    }
    position += frame.start + frame.length;
  }
  memmove(data, data + position, length - position);
  c->raw.length -= position;
  if (c->in.length && !digest(c)) return 0;
  if (is_over) flush(c);
  return !is_over;
}

static void serve(Conn *c, uint32_t events) {
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    Buffer *in = c->role == WEBSOCKET ? &c->raw : &c->in;
    for (int turn = 0; turn < 16; turn++) {
      reserve(in, 4096);
      ssize_t n = take(c, in->data + in->length, in->capacity - in->length);
      if (n == 0 || (n < 0 && errno != EAGAIN)) return hang_up(c);
      if (n < 0) break;
      in->length += n;
      if (in->capacity < 65536 && in->length == in->capacity) reserve(in, 65536);
      if (!(c->role == WEBSOCKET ? unwrap(c) : digest(c))) return hang_up(c);
    }
  }
  if (!flush(c)) hang_up(c);
}

static void accept_on(int role) {
  int fd;
  while ((fd = accept4(listeners[role], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    int on = 1;
    if (fd >= MAX_FD) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Conn *c = conns[fd] = calloc(1, sizeof *c);
    if (!c) abort();
    c->fd = fd;
    c->role = role;
    c->accepted = clock_of(CLOCK_MONOTONIC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

/* ------------------------------------------------------------------------------------------------ the commands */

static Lap *load(const char *path, int framed) {
  static Lap laps[16];
  for (int i = 0; i < 16; i++) {
    Lap *lap = &laps[i];
    if (lap->framed == framed && !strcmp(lap->path, path)) return lap;
    if (lap->path[0]) continue;
    struct stat info;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &info)) return NULL;
    char *data = malloc(info.st_size);
    size_t length = read(fd, data, info.st_size), begun = 0;
    close(fd);
    Scanner scanner = {.depth = 1};
    Token token;
    Buffer buffer = {0};
    while (scan(&scanner, data, length, &token)) {
      if (framed) {
        add_document(&buffer, data + token.start, token.end - token.start);
      } else {
        add(&buffer, data + token.start, token.end - token.start);
      }
      if (buffer.length - begun < 16384 && token.end < length) continue;
      if (lap->blocks == sizeof lap->ends / sizeof *lap->ends) abort();
      lap->ends[lap->blocks++] = begun = buffer.length;
    }
    free(data);
    lap->data = buffer.data;
    lap->length = buffer.length;
    lap->framed = framed;
    snprintf(lap->path, sizeof lap->path, "%s", path);
    return lap->blocks ? lap : NULL;
  }
  return NULL;
}

static void measure(Conn *c, pid_t pid) {
  c->pid = pid;
  c->measuring = 1;
  c->messages_before = c->messages;
  c->bytes = 0;
  c->own = clock_of(CLOCK_PROCESS_CPUTIME_ID);
  c->cpu = cpu_of(pid);
  c->wall = clock_of(CLOCK_MONOTONIC);
}

/* How many sessions there are, and how often they asked whether we are alive since the last reset. */
static void stats(int reset) {
  long least = -1, all = 0;
  for (int fd = 0; fd < MAX_FD; fd++) {
    Conn *c = conns[fd];
    if (!c || !c->is_ready) continue;
    if (least < 0 || c->asked < least) least = c->asked;
    all += c->asked;
    if (reset) c->asked = 0;
  }
  printf("{\"event\":\"stats\",\"ready\":%ld,\"open\":%ld,\"asked\":%ld,\"least\":%ld,\"cpu\":%.9f,\"server\":%.6f}\n",
         total_ready, total_open, all, least, cpu_of(watched), clock_of(CLOCK_PROCESS_CPUTIME_ID));
  fflush(stdout);
}

static void command(char *line) {
  char word[32], argument[512];
  int fd = -1, used = 0;
  long number = 0, pid = 0;
  if (sscanf(line, "%31s %n", word, &used) < 1) return;
  char *rest = line + used;
  Conn *c = sscanf(rest, "%d", &fd) == 1 && fd >= 0 && fd < MAX_FD ? conns[fd] : NULL;
  if (!strcmp(word, "quit")) {
    should_quit = 1;
  } else if (!strcmp(word, "watch")) {
    watched = fd;
  } else if (!strcmp(word, "stats") || !strcmp(word, "reset")) {
    stats(word[0] == 'r');
  } else if (!c) {
    printf("{\"event\":\"error\",\"text\":\"no such connection: %s\"}\n", word);
    fflush(stdout);
  } else if (!strcmp(word, "blast") && sscanf(rest, "%*d %ld %ld %511s", &pid, &number, argument) == 3) {
    Lap *lap = load(argument, c->open);
    if (!lap) abort();
    c->lap = lap;
    c->laps = number;
    measure(c, pid);
    if (!flush(c)) hang_up(c);
  } else if (!strcmp(word, "ask") && sscanf(rest, "%*d %ld %511[^\n]", &pid, argument) == 2) {
    say(c, "<message from='" CONTROL "' to='%s@" DOMAIN "/%s' type='chat' id='task'><body>!%s</body></message>",
        c->user, c->resource, argument);
    measure(c, pid);
    if (!flush(c)) hang_up(c);
  } else if (!strcmp(word, "acks") && sscanf(rest, "%*d %ld", &number) == 1) {
    c->hold_acks = !number;
    if (number && c->managed) acknowledge(c);
    if (!flush(c)) hang_up(c);
  }
}

static int listen_on_loopback(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) {
    perror("listen");
    exit(1);
  }
  return fd;
}

static void listen_all(void) {
  printf("{\"event\":\"listening\",\"ports\":[");
  for (int role = 0; role < ROLES; role++) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int fd = listeners[role] = listen_on_loopback();
    getsockname(fd, (struct sockaddr *)&address, &size);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    printf("%s%d", role ? "," : "", ntohs(address.sin_port));
  }
  printf("]}\n");
  fflush(stdout);
}

static void read_commands(void) {
  static char lines[65536];
  static size_t length;
  ssize_t n = read(0, lines + length, sizeof lines - length - 1);
  if (n <= 0) {
    should_quit = 1;
    return;
  }
  lines[length += n] = 0;
  char *start = lines, *end;
  while ((end = strchr(start, '\n'))) {
    *end = 0;
    command(start);
    start = end + 1;
  }
  length -= start - lines;
  memmove(lines, start, length);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  signal(SIGPIPE, SIG_IGN);
  salt = argv[1];
  iterations = argv[2];
  for (int i = 0; i < 20; i++) sscanf(argv[3] + 2 * i, "%2hhx", &server_key[i]);
#ifdef WITH_TLS
  if (argc > 5) {
    tls = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(tls, argv[4]) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, argv[5], SSL_FILETYPE_PEM) != 1)
      return 3;
  }
#endif
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event input = {.events = EPOLLIN, .data.fd = 0};
  epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input);
  listen_all();
  while (!should_quit) {
    struct epoll_event events[256];
    int count = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count && !should_quit; i++) {
      int fd = events[i].data.fd, role = 0;
      while (role < ROLES && listeners[role] != fd) role++;
      if (fd == 0) {
        read_commands();
      } else if (role < ROLES) {
        accept_on(role);
      } else if (conns[fd]) {
        serve(conns[fd], events[i].events);
      }
    }
  }
  return 0;
}
