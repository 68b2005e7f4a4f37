/* SPDX-License-Identifier: MIT */
/* The files of the page, as they are in daemon/web; see web_files.h. */

#include "config.h"

#include "daemon/web_files.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "daemon/accept.h"
#include "daemon/body.h"
#include "daemon/gzip.h"
#include "daemon/http.h"
#include "daemon/reply.h"

/* Have the assembler put a file between two symbols. */
#define EMBED(symbol, file)                                     \
	__asm__(".pushsection .rodata\n"                        \
		".globl web_" #symbol ", web_" #symbol "_end\n" \
		".hidden web_" #symbol "\n"                     \
		".hidden web_" #symbol "_end\n"                 \
		"web_" #symbol ":\n"                            \
		".incbin \"" WEB_DIRECTORY "/" file "\"\n"      \
		"web_" #symbol "_end:\n"                        \
		".popsection\n");                               \
	extern const char web_##symbol[], web_##symbol##_end[]

EMBED(groups, "groups.js");
EMBED(heatmap, "heatmap.js");
EMBED(icon, "icon.svg");
EMBED(index, "index.html");
EMBED(page, "page.js");
EMBED(stalls, "stalls.js");
EMBED(style, "style.css");
EMBED(words, "words.js");

#define SCRIPT "text/javascript; charset=utf-8"
#define FILES 8
#define TAG_BYTES 24

static const struct source {
	const char *path, *type, *start, *end;
} sources[FILES] = {
	{"/", "text/html; charset=utf-8", web_index, web_index_end},
	{"/web/groups.js", SCRIPT, web_groups, web_groups_end},
	{"/web/heatmap.js", SCRIPT, web_heatmap, web_heatmap_end},
	{"/web/icon.svg", "image/svg+xml", web_icon, web_icon_end},
	{"/web/page.js", SCRIPT, web_page, web_page_end},
	{"/web/stalls.js", SCRIPT, web_stalls, web_stalls_end},
	{"/web/style.css", "text/css; charset=utf-8", web_style, web_style_end},
	{"/web/words.js", SCRIPT, web_words, web_words_end},
};

struct web_file {
	const struct source *source;
	struct body *plain, *packed;
	char tag[TAG_BYTES];
};

struct web_files {
	struct web_file files[FILES];
};

/* What stands for another text in a file. */
struct blank {
	const char *name, *text;
};

/* Write a file with its blanks filled in. */
static void
fill_in(const struct source *source, const struct blank *blanks, size_t count, FILE *out)
{
	const char *at = source->start;

	while (at < source->end) {
		const struct blank *found = NULL;

		for (size_t i = 0; i < count && *at == '@' && !found; i++)
			if ((size_t)(source->end - at) >= strlen(blanks[i].name) &&
				!memcmp(at, blanks[i].name, strlen(blanks[i].name)))
				found = &blanks[i];
		if (found)
			fputs(found->text, out);
		else
			fputc(*at, out);
		at += found ? strlen(found->name) : 1;
	}
}

/* FNV-1a. */
static uint64_t
sum_of(const struct body *body)
{
	uint64_t sum = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < body_pieces(body); i++) {
		size_t bytes;
		const char *piece = body_piece(body, i, &bytes);

		for (size_t j = 0; j < bytes; j++)
			sum = (sum ^ (uint8_t)piece[j]) * 0x100000001b3ull;
	}
	return sum;
}

static bool
make_file(const struct source *source, const struct blank *blanks, size_t count,
	struct web_file *ret_file)
{
	FILE *out;

	ret_file->source = source;
	ret_file->plain = body_new(&out);
	if (!ret_file->plain)
		return false;
	fill_in(source, blanks, count, out);
	if (fclose(out))
		return false;
	ret_file->packed = gzip_pack(ret_file->plain);
	snprintf(ret_file->tag, TAG_BYTES, "\"%016" PRIx64 "\"", sum_of(ret_file->plain));
	return ret_file->packed;
}

struct web_files *
web_files_new(const char *telemetry_path)
{
	/* The path has no character that would need quoting: see options.c. */
	const struct blank blanks[] = {
		{"@telemetry_path@", telemetry_path},
		{"@version@", PACKAGE_VERSION},
	};
	struct web_files *files = calloc(1, sizeof(*files));

	for (size_t i = 0; files && i < FILES; i++)
		if (!make_file(&sources[i], blanks, sizeof(blanks) / sizeof(blanks[0]),
			    &files->files[i])) {
			web_files_free(files);
			return NULL;
		}
	return files;
}

void
web_files_free(struct web_files *files)
{
	for (size_t i = 0; files && i < FILES; i++) {
		body_free(files->files[i].plain);
		body_free(files->files[i].packed);
	}
	free(files);
}

const struct web_file *
web_files_find(const struct web_files *files, const char *path)
{
	for (size_t i = 0; i < FILES; i++)
		if (!strcmp(path, sources[i].path))
			return &files->files[i];
	return NULL;
}

/* Copy the body for evhttp; NULL without memory. */
static struct evbuffer *
copy(const struct body *body)
{
	struct evbuffer *buffer = evbuffer_new();

	for (size_t i = 0; buffer && i < body_pieces(body); i++) {
		size_t bytes;
		const char *piece = body_piece(body, i, &bytes);

		if (!evbuffer_add(buffer, piece, bytes))
			continue;
		evbuffer_free(buffer);
		return NULL;
	}
	return buffer;
}

static void
add_headers(const struct web_file *file, struct evhttp_request *request)
{
	/* Another looplagd may have another page at the same place. */
	reply_add_header(request, "Cache-Control", "no-cache");
	reply_add_header(request, "Content-Security-Policy",
		"default-src 'none'; connect-src 'self'; img-src 'self'; "
		"script-src 'self'; style-src 'self'; base-uri 'none'; "
		"form-action 'none'; frame-ancestors 'none'");
	reply_add_header(request, "ETag", file->tag);
	reply_add_header(request, "Referrer-Policy", "no-referrer");
	reply_add_header(request, "Vary", "Accept-Encoding");
}

void
web_files_reply(const struct web_file *file, struct evhttp_request *request)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	const char *known = evhttp_find_header(headers, "If-None-Match");
	bool gzip = accept_gzip(evhttp_find_header(headers, "Accept-Encoding"));
	const struct body *body = gzip ? file->packed : file->plain;
	struct http_reply reply = {200, file->source->type};
	struct evbuffer *buffer = NULL;

	if (known && (strstr(known, file->tag) || !strcmp(known, "*")))
		reply.status = HTTP_NOTMODIFIED;
	else if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD &&
		 !(buffer = copy(body))) {
		reply_text(request, HTTP_INTERNAL, "Out of memory.\n");
		return;
	}
	add_headers(file, request);
	if (gzip && reply.status == 200)
		reply_add_header(request, "Content-Encoding", "gzip");
	reply_send(request, &reply, body_bytes(body), buffer);
	if (buffer)
		evbuffer_free(buffer);
}
