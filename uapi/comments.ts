/** JSDoc comments as text. */
import type { Comment } from './syntax.js';

/** Tags that say something to those who read the header; others are for tools. */
const SPOKEN: Readonly<Record<string, string>> = {
  deprecated: 'Deprecated: ',
  note: 'Note: ',
  remarks: '',
  returns: 'Returns ',
  see: 'See ',
  since: 'Since ',
};

/**
 * The text of a comment that begins with two stars, without its stars and tags; undefined for any other.
 * Paragraphs stay apart by an empty line.
 */
export function jsDoc({ type, value }: Pick<Comment, 'type' | 'value'>): string | undefined {
  if (type !== 'CommentBlock' || !value.startsWith('*')) return undefined;
  const lines = value
    .slice(1)
    // What stands for the end of a comment within one.
    .replaceAll('*\\/', '*/')
    .split('\n')
    .map((line, i) => (i === 0 ? line : line.replace(/^\s*\*? ?/, '')).trimEnd());
  lines[0] = lines[0]?.trimStart() ?? '';
  return spoken(lines).join('\n').trim() || undefined;
}

/** The lines without tags: `@deprecated text` is put in words, `@example` and its lines are left out. */
function spoken(lines: readonly string[]): string[] {
  const kept: string[] = [];
  let dropping = false;
  for (const line of lines) {
    const [, tag, rest = ''] = /^\s*@(\w+)\s*(.*)$/.exec(line) ?? [];
    if (tag === undefined) {
      if (!dropping) kept.push(unlinked(line));
      continue;
    }
    const words = SPOKEN[tag];
    dropping = words === undefined;
    if (words !== undefined && rest !== '') kept.push('', unlinked(words + rest));
  }
  return kept;
}

/** `{@link name}` and `{@link name | text}` as the words that are meant. */
function unlinked(line: string): string {
  return line.replace(
    /\{@(?:link|code)\s+([^}|\s]+)(?:\s*\|?\s*([^}]*?))?\s*\}/g,
    (_, name, text) => (text ? text : name),
  );
}
