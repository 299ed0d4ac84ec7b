// SPDX-License-Identifier: MIT
/*
 * The node configuration that dora's daemon puts into a node's environment (nodeconfig.h):
 * libraries/message/src/daemon_to_node.rs NodeConfig and RuntimeConfig as serde_yaml writes them.
 */
#include "dora/nodeconfig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/array.h"
#include "base/number.h"
#include "base/procfile.h"
#include "base/units.h"
#include "base/utf8.h"
#include "base/uuid.h"

#define YAML_MAX (1024u * 1024)
/* Real ones nest some eight deep, with a few thousand scalars in large dataflow descriptors. */
#define DEPTH_MAX   64
#define EVENTS_MAX  400000u
#define ALIASES_MAX 64u
/* The whole environment of a process; one variable is limited by the kernel to 128 KiB. */
#define ENVIRON_MAX (4u * 1024 * 1024)

/* Where in the document the parser is, as far as it matters. */
enum place {
	IN_ELSEWHERE,
	IN_TOP,        /* RuntimeConfig or NodeConfig */
	IN_NODE,       /* NodeConfig below `node:` */
	IN_COMM,       /* daemon_communication of the variant that `comm` names */
	IN_COMM_OUTER, /* daemon_communication whose variant is a key, as old serde_yaml wrote it */
	IN_DESCRIPTOR,
	IN_NODES,     /* the sequence of the descriptor's nodes */
	IN_DESCRIBED, /* one of them */
};

struct level {
	enum place place;
	uint8_t is_mapping;
	uint8_t want_value; /* a key was read, its value comes next */
	char key[32];       /* "" for one that is longer than any we know */
};

/* What a node's entry in the descriptor says, until it is known whose entry it is. */
struct described {
	char id[DP_ID_MAX];
	uint64_t health_ns, startup_ns, finish_ns;
};

struct parse {
	struct dp_node_config out;
	struct described described;
	struct level levels[DEPTH_MAX];
	unsigned int depth;
	uint8_t bad;
};

static bool is_node_place(enum place p)
{
	return p == IN_TOP || p == IN_NODE;
}

/* "127.0.0.1:44211" or "[::1]:44211" */
static int parse_socket_addr(const char *s, size_t len, struct dp_node_config *out)
{
	uint8_t addr[16] = {0};
	unsigned int port = 0;
	uint16_t family = AF_INET;
	char host[64];
	const char *colon = memrchr(s, ':', len);
	const char *end = s + len;
	size_t host_len;

	if (!colon || colon == s || colon + 1 == end || end - colon > 6)
		return -EBADMSG;
	for (const char *p = colon + 1; p < end; p++) {
		if (*p < '0' || *p > '9')
			return -EBADMSG;
		port = port * 10 + (unsigned int)(*p - '0');
	}
	if (port == 0 || port > 65535)
		return -EBADMSG;
	host_len = (size_t)(colon - s);
	if (s[0] == '[' && colon[-1] == ']' && host_len > 2) {
		family = AF_INET6;
		s++;
		host_len -= 2;
	}
	if (host_len >= sizeof(host))
		return -EBADMSG;
	memcpy(host, s, host_len);
	host[host_len] = '\0';
	if (inet_pton(family, host, addr) != 1)
		return -EBADMSG;
	memcpy(out->addr, addr, sizeof(addr));
	out->family = family;
	out->port = (uint16_t)port;
	return 0;
}

/* Names the variant of DaemonCommunication; a name of a later dora leaves it unknown. */
static void set_variant(struct parse *p, const char *name, size_t len)
{
	static const struct {
		const char *name;
		enum dp_transport transport;
	} variants[] = {
		{"Tcp", DP_TRANSPORT_TCP},
		{"UnixDomain", DP_TRANSPORT_UNIX},
		{"Shmem", DP_TRANSPORT_SHMEM},
	};

	p->out.transport = DP_TRANSPORT_UNKNOWN;
	for (size_t i = 0; i < DP_COUNT_OF(variants); i++)
		if (len == strlen(variants[i].name) && memcmp(name, variants[i].name, len) == 0)
			p->out.transport = (uint8_t)variants[i].transport;
}

/* A local tag ("!Tcp") is the variant in serde_yaml 0.9. 1 when it was there. */
static int variant_by_tag(struct parse *p, const yaml_char_t *tag)
{
	if (!tag || tag[0] != '!' || !tag[1])
		return 0;
	set_variant(p, (const char *)tag + 1, strlen((const char *)tag + 1));
	return 1;
}

static struct level *top(struct parse *p)
{
	return p->depth ? &p->levels[p->depth - 1] : NULL;
}

static int key_is(const struct level *l, const char *key)
{
	return strcmp(l->key, key) == 0;
}

/* Seconds, "3" or "2.5", as ns; 0 for what is no length of time, or longer than ten years. */
static uint64_t seconds(const char *s, size_t len)
{
	uint64_t whole = 0, part = 0, unit = SEC;
	size_t i;

	for (i = 0; i < len && s[i] >= '0' && s[i] <= '9' && i < 9; i++)
		whole = whole * 10 + (uint64_t)(s[i] - '0');
	if (i == 0 || whole > 3650 * DAY / SEC)
		return 0;
	if (i < len && s[i] == '.')
		for (i++; i < len && s[i] >= '0' && s[i] <= '9'; i++) {
			unit /= 10;
			part += unit * (uint64_t)(s[i] - '0');
		}
	return i == len ? whole * SEC + part : 0;
}

static void described_value(struct described *d, const struct level *l, const char *s, size_t len)
{
	if (key_is(l, "id"))
		dp_utf8_copy(d->id, sizeof(d->id), s, len);
	else if (key_is(l, "health_check_timeout"))
		d->health_ns = seconds(s, len);
	else if (key_is(l, "startup_timeout"))
		d->startup_ns = seconds(s, len);
	else if (key_is(l, "finish_grace_secs"))
		d->finish_ns = seconds(s, len);
}

/* An entry has ended. The daemon writes node_id before the descriptor, so it is known whose it is. */
static void take_described(struct parse *p)
{
	if (p->out.node[0] && strcmp(p->described.id, p->out.node) == 0) {
		p->out.health_ns = p->described.health_ns;
		p->out.startup_ns = p->described.startup_ns;
		p->out.finish_ns = p->described.finish_ns;
	}
}

/* A scalar as a value of a mapping. `plain`: it was not quoted, so null means none. */
static void value(struct parse *p, const struct level *l, const char *s, size_t len, int plain)
{
	if (plain &&
	    (len == 0 || (len == 1 && s[0] == '~') || (len == 4 && memcmp(s, "null", 4) == 0)))
		return;
	if (is_node_place(l->place)) {
		if (key_is(l, "dataflow_id")) {
			/* A uuid takes 36 characters: what is longer is none, and stays none cut.
			 */
			dp_utf8_copy(p->out.dataflow, sizeof(p->out.dataflow), s, len);
			if (!dp_uuid_is(p->out.dataflow))
				p->bad = 1;
		} else if (key_is(l, "node_id")) {
			dp_utf8_name(p->out.node, sizeof(p->out.node), s, len);
		} else if (key_is(l, "dynamic")) {
			p->out.dynamic = len == 4 && memcmp(s, "true", 4) == 0;
		}
	} else if (l->place == IN_ELSEWHERE) {
		/* Of any node of the descriptor, from dora 0.5 on: never, on-failure, always. */
		if (key_is(l, "restart_policy") && (len != 5 || memcmp(s, "never", 5) != 0))
			p->out.restarts = 1;
	} else if (l->place == IN_DESCRIPTOR) {
		if (key_is(l, "name"))
			dp_utf8_name(p->out.dataflow_name, sizeof(p->out.dataflow_name), s, len);
	} else if (l->place == IN_DESCRIBED) {
		described_value(&p->described, l, s, len);
	} else if (l->place == IN_COMM) {
		if (p->out.transport == DP_TRANSPORT_TCP && key_is(l, "socket_addr")) {
			if (parse_socket_addr(s, len, &p->out))
				p->bad = 1;
		} else if (p->out.transport == DP_TRANSPORT_UNIX && key_is(l, "socket_file")) {
			if (len == 0 || len >= sizeof(p->out.socket_path) || memchr(s, 0, len)) {
				p->bad = 1;
				return;
			}
			/* Compared with kernel addresses, byte for byte: not made printable. */
			memcpy(p->out.socket_path, s, len);
			memset(p->out.socket_path + len, 0, sizeof(p->out.socket_path) - len);
			p->out.family = AF_UNIX;
		}
	}
}

static void scalar(struct parse *p, const yaml_event_t *e)
{
	struct level *l = top(p);
	const char *s = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;

	if (!l || !l->is_mapping)
		return;
	if (l->want_value) {
		l->want_value = 0;
		value(p, l, s, len, e->data.scalar.plain_implicit);
		return;
	}
	l->want_value = 1;
	l->key[0] = '\0';
	if (len < sizeof(l->key) && !memchr(s, 0, len)) {
		memcpy(l->key, s, len);
		l->key[len] = '\0';
	}
}

/* What a mapping or sequence is that begins as the value of `l`'s key. */
static enum place place_of(struct parse *p, const struct level *l, int is_mapping,
			   const yaml_char_t *tag)
{
	if (!l)
		return is_mapping ? IN_TOP : IN_ELSEWHERE;
	if (l->place == IN_NODES)
		return is_mapping ? IN_DESCRIBED : IN_ELSEWHERE;
	if (!l->is_mapping || !l->want_value)
		return IN_ELSEWHERE;
	if (!is_mapping)
		return l->place == IN_DESCRIPTOR && key_is(l, "nodes") ? IN_NODES : IN_ELSEWHERE;
	if (l->place == IN_TOP && key_is(l, "node"))
		return IN_NODE;
	if (is_node_place(l->place) && key_is(l, "daemon_communication"))
		return variant_by_tag(p, tag) ? IN_COMM : IN_COMM_OUTER;
	if (is_node_place(l->place) && key_is(l, "dataflow_descriptor"))
		return IN_DESCRIPTOR;
	if (l->place == IN_COMM_OUTER) {
		set_variant(p, l->key, strlen(l->key));
		return IN_COMM;
	}
	return IN_ELSEWHERE;
}

static int push(struct parse *p, int is_mapping, const yaml_char_t *tag)
{
	struct level *l = top(p);
	enum place place = place_of(p, l, is_mapping, tag);

	if (p->depth == DEPTH_MAX)
		return -EBADMSG;
	if (l && l->is_mapping) {
		/* A collection as a key is legal YAML; its value is then of no interest. */
		if (!l->want_value)
			l->key[0] = '\0';
		l->want_value = !l->want_value;
	}
	if (place == IN_DESCRIBED)
		memset(&p->described, 0, sizeof(p->described));
	p->levels[p->depth++] = (struct level){.place = place, .is_mapping = is_mapping ? 1 : 0};
	return 0;
}

/* Feeds one event. 1 at the end of the document, 0 to go on, or -EBADMSG. */
static int on_event(struct parse *p, const yaml_event_t *e, unsigned int *aliases)
{
	struct level *l;

	switch (e->type) {
	case YAML_SCALAR_EVENT:
		scalar(p, e);
		break;
	case YAML_ALIAS_EVENT:
		/* Never followed, so they cannot multiply; here they stand for a value unknown. */
		if (++*aliases > ALIASES_MAX)
			return -EBADMSG;
		l = top(p);
		if (l && l->is_mapping) {
			if (!l->want_value)
				l->key[0] = '\0';
			l->want_value = !l->want_value;
		}
		break;
	case YAML_MAPPING_START_EVENT:
		return push(p, 1, e->data.mapping_start.tag);
	case YAML_SEQUENCE_START_EVENT:
		return push(p, 0, e->data.sequence_start.tag);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		if (p->depth && p->levels[--p->depth].place == IN_DESCRIBED)
			take_described(p);
		break;
	case YAML_DOCUMENT_END_EVENT:
	case YAML_STREAM_END_EVENT:
		return 1;
	default:
		break;
	}
	return p->bad ? -EBADMSG : 0;
}

int dp_node_config_parse(const char *yaml, size_t len, struct dp_node_config *ret)
{
	struct parse p = {0};
	unsigned int aliases = 0;
	yaml_parser_t parser;
	int err = 0;

	if (len == 0 || len > YAML_MAX)
		return -EBADMSG;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, len);
	for (unsigned int events = 0; err == 0; events++) {
		yaml_event_t event;

		if (events == EVENTS_MAX || !yaml_parser_parse(&parser, &event)) {
			err = -EBADMSG;
			break;
		}
		err = on_event(&p, &event, &aliases);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (err < 0)
		return err;
	if (!p.out.dataflow[0] || !p.out.node[0])
		return -EBADMSG;
	if ((p.out.transport == DP_TRANSPORT_TCP && !p.out.port) ||
	    (p.out.transport == DP_TRANSPORT_UNIX && !p.out.socket_path[0]))
		return -EBADMSG;
	*ret = p.out;
	return 0;
}

/* The value of variable `name` in an environment block, or NULL. */
static const char *env_value(const char *block, size_t len, const char *name, size_t *ret_len)
{
	size_t name_len = strlen(name);

	for (size_t at = 0; at < len;) {
		const char *s = block + at;
		size_t n = strnlen(s, len - at);

		if (n > name_len && s[name_len] == '=' && memcmp(s, name, name_len) == 0) {
			*ret_len = n - name_len - 1;
			return s + name_len + 1;
		}
		at += n + 1;
	}
	return NULL;
}

/* DORA_RUN_PARENT_PID, as dora's orphan guard reads it; 0 none. */
static pid_t run_parent(const char *env, size_t len)
{
	size_t text_len;
	const char *text = env_value(env, len, "DORA_RUN_PARENT_PID", &text_len), *end;
	char number[16];
	uint64_t pid;

	if (!text || text_len >= sizeof(number))
		return 0;
	memcpy(number, text, text_len);
	number[text_len] = '\0';
	end = dp_number(number, 10, INT32_MAX, &pid);
	return end && !*end ? (pid_t)pid : 0;
}

int dp_node_config_read(const char *proc, pid_t pid, struct dp_node_config *ret)
{
	const char *yaml;
	char *env = NULL;
	size_t len, yaml_len;
	int err;

	err = dp_procfile_load(proc, pid, "environ", ENVIRON_MAX, &env, &len);
	if (err)
		return err;
	yaml = env_value(env, len, "DORA_NODE_CONFIG", &yaml_len);
	if (!yaml)
		yaml = env_value(env, len, "DORA_RUNTIME_CONFIG", &yaml_len);
	err = yaml ? dp_node_config_parse(yaml, yaml_len, ret) : -ENOENT;
	if (!err)
		ret->run_parent_pid = run_parent(env, len);
	free(env);
	return err;
}
