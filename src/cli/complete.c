/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include <stdbool.h>
#include <string.h>

/* Commands that the scripts run for completions: ids of workloads, runtimes, ids of unfinished
 * workloads. */
#define IDS "vulcan ls --quiet --limit 50 2>/dev/null"
#define RUNTIMES "vulcan completion runtimes 2>/dev/null"
#define ALIVE "for s in running pending; do vulcan ls -q -n 50 -s $s 2>/dev/null; done"

/* Appends "a|b" as "a b". */
static int add_words(struct buf *ret, const char *words)
{
        int r = 0;

        for (; *words && r == 0; words++)
                r = buf_add(ret, *words == '|' ? " " : words, 1);
        return r;
}

static int add_verbs(const struct command_table *table, struct buf *ret)
{
        int r = 0;

        for (size_t i = 0; i < table->n && r == 0; i++)
                r = buf_printf(ret, "%s%s", i ? " " : "", table->commands[i]->name);
        return r;
}

/* The words that `vulcan help` accepts. */
static int add_topics(const struct command_table *table, struct buf *ret)
{
        int r = add_verbs(table, ret);

        return r == 0 ? buf_printf(ret, " metrics") : r;
}

/* ---- bash ---- */

/* The body of a case that offers completions for `words` (see struct cli_option). */
static int bash_offer(const struct command_table *table, struct buf *ret, const char *words)
{
        int r;

        if (strcmp(words, "FILE") == 0)
                return buf_printf(ret, "_vulcan_files");
        if (strcmp(words, "ID") == 0)
                return buf_printf(ret, "_vulcan_words \"$(" IDS ")\"");
        if (strcmp(words, "ALIVE") == 0)
                return buf_printf(ret, "_vulcan_words \"$(" ALIVE ")\"");
        if (strcmp(words, "RUNTIME") == 0)
                return buf_printf(ret, "_vulcan_words \"$(" RUNTIMES ")\"");
        if ((r = buf_printf(ret, "_vulcan_words '")) < 0)
                return r;
        r = strcmp(words, "VERB") == 0 ? add_topics(table, ret) : add_words(ret, words);
        return r == 0 ? buf_add(ret, "'", 1) : r;
}

/* One case per option with a value: "verb --option) offer ;;". An optional value follows a "=",
 * where bash splits words, so such options are left out. */
static int bash_values(const struct command_table *table, struct buf *ret, const struct command *c)
{
        struct cli_option o;
        int r = 0;

        for (size_t i = 0; r == 0 && command_option_at(c, i, &o); i++) {
                if (!o.value || o.may_omit)
                        continue;
                r = buf_printf(ret, "        '%s --%s'", c->name, o.name);
                if (r == 0 && o.id < 256)
                        r = buf_printf(ret, "|'%s -%c'", c->name, o.id);
                if (r == 0)
                        r = buf_printf(ret, ") ");
                if (r == 0 && o.words)
                        r = bash_offer(table, ret, o.words);
                if (r == 0)
                        r = buf_printf(ret, "%sreturn ;;\n", o.words ? "; " : "");
        }
        return r;
}

static int bash_options(const struct command_table *table, struct buf *ret, const struct command *c)
{
        struct cli_option o;
        int r = buf_printf(ret, "        '%s -'*) _vulcan_words '", c->name);

        for (size_t i = 0; r == 0 && command_option_at(c, i, &o); i++) {
                r = buf_printf(ret, "%s--%s", i ? " " : "", o.name);
                if (r == 0 && o.id < 256)
                        r = buf_printf(ret, " -%c", o.id);
        }
        if (r == 0)
                r = buf_printf(ret, "' ;;\n");
        if (r == 0 && c->words) {
                r = buf_printf(ret, "        '%s '*) ", c->name);
                if (r == 0)
                        r = bash_offer(table, ret, c->words);
                if (r == 0)
                        r = buf_printf(ret, " ;;\n");
        }
        return r;
}

int complete_bash(const struct command_table *table, struct buf *ret)
{
        int r = buf_printf(ret, "# bash completion for vulcan, made by: vulcan completion bash\n"
                                "\n"
                                "_vulcan_words()\n"
                                "{\n"
                                "        mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
                                "}\n"
                                "\n"
                                "_vulcan_files()\n"
                                "{\n"
                                "        compopt -o filenames 2>/dev/null\n"
                                "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                                "}\n"
                                "\n"
                                "_vulcan()\n"
                                "{\n"
                                "        local cur=\"${COMP_WORDS[COMP_CWORD]}\"\n"
                                "        local prev=\"${COMP_WORDS[COMP_CWORD - 1]}\"\n"
                                "        local verb=\"${COMP_WORDS[1]}\"\n"
                                "        COMPREPLY=()\n"
                                "        if [[ $COMP_CWORD -eq 1 ]]; then\n"
                                "                _vulcan_words '");

        if (r == 0)
                r = add_verbs(table, ret);
        if (r == 0)
                r = buf_printf(ret, "'\n"
                                    "                return\n"
                                    "        fi\n"
                                    "        case \"$verb $prev\" in\n");
        for (size_t i = 0; r == 0 && i < table->n; i++)
                r = bash_values(table, ret, table->commands[i]);
        if (r == 0)
                r = buf_printf(ret, "        esac\n"
                                    "        case \"$verb $cur\" in\n");
        for (size_t i = 0; r == 0 && i < table->n; i++)
                r = bash_options(table, ret, table->commands[i]);
        return r == 0 ? buf_printf(ret, "        esac\n"
                                        "}\n"
                                        "complete -F _vulcan vulcan\n")
                      : r;
}

/* ---- zsh ---- */

/* Escapes text inside single quotes and inside the brackets and colons of _arguments. */
static int zsh_text(struct buf *ret, const char *text)
{
        int r = 0;

        for (; *text && r == 0; text++) {
                if (*text == '\'')
                        r = buf_printf(ret, "'\\''");
                else if (strchr("[]:\\", *text))
                        r = buf_printf(ret, "\\%c", *text);
                else
                        r = buf_add(ret, text, 1);
        }
        return r;
}

static int zsh_offer(const struct command_table *table, struct buf *ret, const char *words)
{
        int r;

        if (!words)
                return 0;
        if (strcmp(words, "FILE") == 0)
                return buf_printf(ret, "_files");
        if (strcmp(words, "ID") == 0)
                return buf_printf(ret, "_vulcan_ids");
        if (strcmp(words, "ALIVE") == 0)
                return buf_printf(ret, "_vulcan_alive");
        if (strcmp(words, "RUNTIME") == 0)
                return buf_printf(ret, "_vulcan_runtimes");
        if ((r = buf_add(ret, "(", 1)) < 0)
                return r;
        r = strcmp(words, "VERB") == 0 ? add_topics(table, ret) : add_words(ret, words);
        return r == 0 ? buf_add(ret, ")", 1) : r;
}

static int zsh_option(const struct command_table *table, struct buf *ret,
                      const struct cli_option *o)
{
        int r = o->id < 256 ? buf_printf(ret, " \\\n                '(-%c --%s)'{-%c%s,--%s%s}'[",
                                         o->id, o->name, o->id, o->value ? "+" : "", o->name,
                                         o->value ? "=" : "")
                            : buf_printf(ret, " \\\n                '--%s%s[", o->name,
                                         !o->value     ? ""
                                         : o->may_omit ? "=-"
                                                       : "=");

        if (r == 0)
                r = zsh_text(ret, o->help);
        if (r == 0)
                r = buf_add(ret, "]", 1);
        if (r == 0 && o->value) {
                r = buf_printf(ret, o->may_omit ? "::" : ":");
                if (r == 0)
                        r = zsh_text(ret, o->value);
                if (r == 0)
                        r = buf_add(ret, ":", 1);
                if (r == 0)
                        r = zsh_offer(table, ret, o->words);
        }
        return r == 0 ? buf_add(ret, "'", 1) : r;
}

static int zsh_verb(const struct command_table *table, struct buf *ret, const struct command *c)
{
        struct cli_option o;
        int r = buf_printf(ret, "        (%s)\n                _arguments -s%s", c->name,
                           c->program ? " -A '-*'" : "");

        for (size_t i = 0; r == 0 && command_option_at(c, i, &o); i++)
                r = zsh_option(table, ret, &o);
        if (r == 0 && c->words) {
                r = buf_printf(ret, " \\\n                '*:word:");
                if (r == 0)
                        r = zsh_offer(table, ret, c->words);
                if (r == 0)
                        r = buf_add(ret, "'", 1);
        }
        return r == 0 ? buf_printf(ret, "\n                ;;\n") : r;
}

int complete_zsh(const struct command_table *table, struct buf *ret)
{
        int r = buf_printf(ret, "#compdef vulcan\n"
                                "# zsh completion for vulcan, made by: vulcan completion zsh\n"
                                "\n"
                                "_vulcan_ids() {\n"
                                "        local -a ids\n"
                                "        ids=(${(f)\"$(" IDS ")\"})\n"
                                "        compadd -a ids\n"
                                "}\n"
                                "\n"
                                "_vulcan_runtimes() {\n"
                                "        local -a names\n"
                                "        names=(${(f)\"$(" RUNTIMES ")\"})\n"
                                "        compadd -a names\n"
                                "}\n"
                                "\n"
                                "_vulcan_alive() {\n"
                                "        local -a ids\n"
                                "        local s\n"
                                "        ids=(${(f)\"$(" ALIVE ")\"})\n"
                                "        compadd -a ids\n"
                                "}\n"
                                "\n"
                                "_vulcan() {\n"
                                "        local -a verbs\n"
                                "        verbs=(\n");

        for (size_t i = 0; r == 0 && i < table->n; i++) {
                r = buf_printf(ret, "                '%s:", table->commands[i]->name);
                if (r == 0)
                        r = zsh_text(ret, table->commands[i]->summary);
                if (r == 0)
                        r = buf_printf(ret, "'\n");
        }
        if (r == 0)
                r = buf_printf(ret, "        )\n"
                                    "        if (( CURRENT == 2 )); then\n"
                                    "                _describe verb verbs\n"
                                    "                return\n"
                                    "        fi\n"
                                    "        local verb=$words[2]\n"
                                    "        shift words\n"
                                    "        (( CURRENT-- ))\n"
                                    "        case $verb in\n");
        for (size_t i = 0; r == 0 && i < table->n; i++)
                r = zsh_verb(table, ret, table->commands[i]);
        return r == 0 ? buf_printf(ret, "        esac\n"
                                        "}\n"
                                        "\n"
                                        "if [[ $funcstack[1] == _vulcan ]]; then\n"
                                        "        _vulcan \"$@\"\n"
                                        "else\n"
                                        "        compdef _vulcan vulcan\n"
                                        "fi\n")
                      : r;
}
