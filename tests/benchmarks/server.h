/* What the server needs below XMPP: first-level elements out of bytes, base64, SHA-1 and HMAC. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------- XML, barely

 * Enough for what honest clients write: no ">" in attributes, no CDATA, no comments. */

typedef struct {
  int depth, inside;
  size_t position, start;
} Scanner;

typedef struct {
  enum { HEADER, ELEMENT, FOOTER } kind;
  size_t start, end;
} Token;

/* Find what is complete next, from `position` on. 0 if nothing is. */
static int scan(Scanner *s, const char *data, size_t length, Token *token) {
  for (;;) {
    const char *open = memchr(data + s->position, '<', length - s->position);
    if (!open) {
      s->position = length;
      return 0;
    }
    s->position = open - data;
    const char *close = memchr(open, '>', length - s->position);
    if (!close) return 0;
    size_t end = close - data + 1;
    char second = open[1];
    int is_complete = 0;
    if (second == '?') {
      s->position = end;
      continue;
    }
    if (second == '/') {
      is_complete = --s->depth < 2;
    } else {
      if (s->depth == 1) {
        s->start = s->position;
        s->inside = 1;
      }
      if (close[-1] == '/') {
        is_complete = s->depth == 1;
      } else if (s->depth++ == 0) {
        s->position = end;
        token->kind = HEADER;
        token->end = end;
        return 1;
      }
    }
    s->position = end;
    if (is_complete) {
      token->kind = s->depth ? ELEMENT : FOOTER;
      token->start = s->start;
      token->end = end;
      s->inside = 0;
      return 1;
    }
  }
}

/* The name of an element without its prefix. */
static void local_name(const char *element, size_t length, char *name, size_t size) {
  size_t i = 1, n = 0;
  for (; i < length && !strchr(" \t\r\n/>", element[i]); i++) {
    if (element[i] == ':') {
      n = 0;
    } else if (n + 1 < size) {
      name[n++] = element[i];
    }
  }
  name[n] = 0;
}

/* An attribute of the first tag, as it is written. 0 if there is none. */
static int attribute(const char *element, size_t length, const char *name, char *value, size_t size) {
  const char *end = memchr(element, '>', length), *p = element;
  size_t n = strlen(name);
  while (end && (p = memmem(p, end - p, name, n))) {
    if (p[-1] == ' ' && p[n] == '=') {
      const char *stop = memchr(p + n + 2, p[n + 1], end - p - n - 2);
      if (!stop) return 0;
      snprintf(value, size, "%.*s", (int)(stop - p - n - 2), p + n + 2);
      return 1;
    }
    p += n;
  }
  return 0;
}

/* The text right behind the first tag, up to the next one. */
static void content(const char *element, size_t length, char *text, size_t size) {
  const char *start = memchr(element, '>', length);
  text[0] = 0;
  if (!start || start[-1] == '/') return;
  const char *stop = memchr(start, '<', length - (start - element));
  if (stop) snprintf(text, size, "%.*s", (int)(stop - start - 1), start + 1);
}

/* ---------------------------------------------------------------------------------------------- base64 */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64_encode(const unsigned char *data, size_t length, char *text) {
  for (size_t i = 0; i < length; i += 3) {
    uint32_t bits = data[i] << 16 | (i + 1 < length ? data[i + 1] << 8 : 0) | (i + 2 < length ? data[i + 2] : 0);
    *text++ = alphabet[bits >> 18];
    *text++ = alphabet[bits >> 12 & 63];
    *text++ = i + 1 < length ? alphabet[bits >> 6 & 63] : '=';
    *text++ = i + 2 < length ? alphabet[bits & 63] : '=';
  }
  *text = 0;
}

static int base64_decode(const char *text, char *data, size_t size) {
  uint32_t bits = 0;
  size_t n = 0;
  int held = 0;
  for (; *text && *text != '='; text++) {
    const char *digit = strchr(alphabet, *text);
    if (!digit || n >= size) return -1;
    bits = bits << 6 | (uint32_t)(digit - alphabet);
    if ((held += 6) >= 8) data[n++] = (char)(bits >> (held -= 8) & 255);
  }
  return (int)n;
}

/* ---------------------------------------------------------------------------------------------- RFC 3174, RFC 2104 */

typedef struct {
  uint32_t h[5];
  unsigned char block[64];
  uint64_t length;
} Hash;

static uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1_block(Hash *s) {
  uint32_t w[80], a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3], e = s->h[4];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)s->block[4 * i] << 24 | s->block[4 * i + 1] << 16 | s->block[4 * i + 2] << 8 | s->block[4 * i + 3];
  for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  for (int i = 0; i < 80; i++) {
    uint32_t f, k;
    if (i < 20) {
      f = (b & c) | (~b & d), k = 0x5A827999;
    } else if (i < 40) {
      f = b ^ c ^ d, k = 0x6ED9EBA1;
    } else if (i < 60) {
      f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
    } else {
      f = b ^ c ^ d, k = 0xCA62C1D6;
    }
    uint32_t next = rotate(a, 5) + f + e + k + w[i];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  s->h[0] += a, s->h[1] += b, s->h[2] += c, s->h[3] += d, s->h[4] += e;
}

static void sha1_add(Hash *s, const unsigned char *data, size_t length) {
  while (length--) {
    s->block[s->length++ % 64] = *data++;
    if (s->length % 64 == 0) sha1_block(s);
  }
}

static void sha1_end(Hash *s, unsigned char digest[20]) {
  uint64_t bits = s->length * 8;
  unsigned char byte = 0x80, size[8];
  do {
    sha1_add(s, &byte, 1);
    byte = 0;
  } while (s->length % 64 != 56);
  for (int i = 0; i < 8; i++) size[i] = (unsigned char)(bits >> (56 - 8 * i));
  sha1_add(s, size, 8);
  for (int i = 0; i < 20; i++) digest[i] = (unsigned char)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

static const Hash sha1_start = {.h = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}};

static void sha1(const char *data, size_t length, unsigned char digest[20]) {
  Hash s = sha1_start;
  sha1_add(&s, (const unsigned char *)data, length);
  sha1_end(&s, digest);
}

static void hmac_sha1(const unsigned char *key, size_t key_length, const unsigned char *data, size_t length,
                      unsigned char digest[20]) { /* the key is shorter than a block */
  unsigned char pad[64], inner[20];
  Hash s = sha1_start;
  for (size_t i = 0; i < 64; i++) pad[i] = (i < key_length ? key[i] : 0) ^ 0x36;
  sha1_add(&s, pad, 64);
  sha1_add(&s, data, length);
  sha1_end(&s, inner);
  s = sha1_start;
  for (size_t i = 0; i < 64; i++) pad[i] = (i < key_length ? key[i] : 0) ^ 0x5c;
  sha1_add(&s, pad, 64);
  sha1_add(&s, inner, 20);
  sha1_end(&s, digest);
}
