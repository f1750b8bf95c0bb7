/* What the server needs to speak WebSocket (RFC 6455): the handshake, frames in, frames out. Server side only. */

enum { TEXT_FRAME = 1, CLOSE_FRAME = 8, PING_FRAME = 9, PONG_FRAME = 10 };

/* Answer the request of a client, of which there is so much. 0 if it is not complete, -1 if it is not what we want;
 * else how long it is. */
static int shake_hands(const char *request, size_t length, char *answer, size_t size) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", name[] = "\r\nSec-WebSocket-Key:";
  const char *end = memmem(request, length, "\r\n\r\n", 4);
  if (!end) return length > 8192 ? -1 : 0;
  char head[8193], key[128], accept[32];
  snprintf(head, sizeof head, "%.*s", (int)(end - request), request);
  const char *found = strcasestr(head, name);
  if (!found || sscanf(found + sizeof name - 1, " %64s", key) != 1) return -1;
  unsigned char digest[20];
  strcat(key, guid);
  sha1(key, strlen(key), digest);
  base64_encode(digest, sizeof digest, accept);
  snprintf(answer, size,
           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n", accept);
  return (int)(end + 4 - request);
}

typedef struct {
  int opcode;
  size_t start, length; /* of its payload */
  unsigned char mask[4];
} Frame;

/* Find a frame at the beginning of what came from a client. 0 if it is not complete. */
static int find_frame(const char *data, size_t length, Frame *frame) {
  const unsigned char *bytes = (const unsigned char *)data;
  if (length < 6) return 0;
  size_t size = bytes[1] & 127, start = size == 127 ? 10 : size == 126 ? 4 : 2;
  if (length < start + 4) return 0;
  if (start > 2) {
    size = 0;
    for (size_t i = 2; i < start; i++) size = size << 8 | bytes[i];
  }
  memset(frame->mask, 0, 4);
  if (bytes[1] & 128) {
    memcpy(frame->mask, bytes + start, 4);
    start += 4;
  }
  frame->opcode = bytes[0] & 15;
  frame->start = start;
  frame->length = size;
  return length - start >= size;
}

/* Take the mask off, eight octets at a time. */
static void unmask(char *to, const char *from, size_t length, const unsigned char mask[4]) {
  uint64_t wide, eight;
  memcpy(&wide, mask, 4);
  memcpy((char *)&wide + 4, mask, 4);
  size_t i = 0;
  for (; i + 8 <= length; i += 8) {
    memcpy(&eight, from + i, 8);
    eight ^= wide;
    memcpy(to + i, &eight, 8);
  }
  for (; i < length; i++) to[i] = (char)(from[i] ^ mask[i % 4]);
}

/* Write what comes before so many octets of payload; return how long that is, 10 at most. */
static size_t frame_header(char *header, int opcode, size_t length) {
  size_t n = 2;
  header[0] = (char)(128 | opcode);
  if (length < 126) {
    header[1] = (char)length;
    return n;
  }
  int octets = length < 65536 ? 2 : 8;
  header[1] = octets == 2 ? 126 : 127;
  while (octets--) header[n++] = (char)(length >> 8 * octets & 255);
  return n;
}
