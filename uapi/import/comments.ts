/** The comments of a header: clang says which belongs to what, and where it stands. */
import { readFileSync } from 'node:fs';
import type { Node } from './ast.js';

/** Texts of headers, each read once. */
const sources = new Map<string, Buffer>();

function sourceOf(file: string): Buffer {
  let source = sources.get(file);
  if (!source) {
    source = readFileSync(file);
    sources.set(file, source);
  }
  return source;
}

/** The text of a comment in a file, without its stars. */
export function docOf(comment: Node | undefined, file: string): string | undefined {
  const { begin, end } = comment?.range ?? {};
  if (begin?.offset === undefined || end?.offset === undefined) return undefined;
  // The bounds are within the comment; a comment of several pieces has the marks between them, too.
  const piece = sourceOf(file)
    .subarray(begin.offset, end.offset + (end.tokLen ?? 0))
    .toString();
  const text = piece
    .split('\n')
    .map((line) => line.replace(/^[\s/]*[*/!]*<?(?=\s|\*|$)/, '').replace(/[\s*]*\*\/\s*$/, ''))
    .map((line) => line.trim())
    .join('\n')
    .replace(/\n{2,}/g, '\n')
    .trim();
  return /\w/.test(text) ? text : undefined;
}

/** A kernel-doc comment, `struct name - what` and `@field: what`, taken apart; any other is as it is. */
export function fieldDocs(text: string | undefined): {
  doc: string | undefined;
  fields: ReadonlyMap<string, string>;
} {
  const fields = new Map<string, string>();
  const lines: string[] = [];
  let current: string | undefined;
  for (const line of (text ?? '').split('\n')) {
    const [, name, rest] = /^@(\w+):\s*(.*)$/.exec(line) ?? [];
    if (name !== undefined) {
      current = name;
      fields.set(name, rest ?? '');
    } else if (current === undefined) {
      lines.push(line.replace(/^(?:(?:struct|union|enum) )?\w+\s+-+\s+/, ''));
    } else {
      fields.set(current, `${fields.get(current) ?? ''}\n${line}`.trim());
    }
  }
  const doc = lines.join('\n').trim();
  return { doc: doc === '' ? undefined : doc, fields };
}
