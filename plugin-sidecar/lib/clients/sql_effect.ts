/**
 * What a text of SQL leaves behind in the connection that it runs on, judged by its words alone. It runs in sidecars,
 * where a connection goes from one function to another.
 *
 * What is not known to be harmless counts as state: a connection too many is closed, and none is handed on that is not
 * as new. Not seen: what stored functions, procedures behind views and triggers do, which belong to the application's
 * own schema.
 */

/** `transaction`: one may be open. `state`: variables, locks, temporary tables, another database and the like. */
export type Effect = 'none' | 'transaction' | 'state';

const HARMLESS = [
  'select', 'insert', 'update', 'delete', 'replace', 'with', 'table', 'values', 'show', 'desc', 'describe', 'explain', 'load', 'truncate',
  'create', 'alter', 'drop', 'rename', 'analyze', 'optimize', 'check', 'checksum', 'repair', 'grant', 'revoke', 'kill',
].join('|');

const STATEMENT = new RegExp(`^[\\s(]*(?:(${HARMLESS})|begin|start|commit|rollback|savepoint|release)\\b`, 'i');
/** Without any of these a text is judged by its first word; most are. */
const SUSPECT = /[@;#]|--|\/\*|_lock|temporary/i;
/** A variable of the user's, a lock by name, a comment that is executed, a temporary table. */
const TELLING = /(?<!@)@(?!@)|get_lock|service_get_\w+_locks|\/\*m?!|\bcreate\s+(?:or\s+replace\s+)?temporary\b/i;

export function effectOf(sql: string): Effect {
  if (!SUSPECT.test(sql)) return effectOfOne(sql);
  const text = withoutStrings(sql);
  if (TELLING.test(text)) return 'state';
  const effects = text.split(';').filter((statement) => statement.trim() !== '').map(effectOfOne);
  return (['state', 'transaction'] as const).find((effect) => effects.includes(effect)) ?? 'none';
}

function effectOfOne(statement: string): Effect {
  const found = STATEMENT.exec(statement);
  if (found === null) return 'state';
  return found[1] === undefined ? 'transaction' : 'none';
}

const OPENING = /['"`#]|--(?=\s|$)|\/\*/g;
const CLOSING: Readonly<Record<string, RegExp>> = { "'": /[\\']/g, '"': /[\\"]/g, '`': /`/g, '/*': /\*\//g, '#': /\n/g, '--': /\n/g };

/** Strings and comments as spaces: they may hold any word. One that is executed keeps its beginning; quoted names stay. */
function withoutStrings(sql: string): string {
  let text = '';
  let from = 0;
  const opening = new RegExp(OPENING);
  for (let found = opening.exec(sql); found !== null; found = opening.exec(sql)) {
    const end = endOf(sql, found[0], opening.lastIndex);
    text += `${sql.slice(from, found.index)} ${keptOf(found[0], sql.slice(found.index, end))} `;
    from = opening.lastIndex = end;
  }
  return text + sql.slice(from);
}

function keptOf(opening: string, part: string): string {
  if (opening === '`') return part.slice(1, -1);
  return opening === '/*' ? (/^\/\*m?!/i.exec(part)?.[0] ?? '') : '';
}

/** Behind what closes it. A loop over what is found, since one expression for a string of megabytes would exhaust its stack. */
function endOf(sql: string, opening: string, from: number): number {
  const closing = new RegExp(CLOSING[opening] as RegExp);
  closing.lastIndex = from;
  for (let found = closing.exec(sql); found !== null; found = closing.exec(sql)) {
    const isDoubled = found[0] === opening && sql[closing.lastIndex] === opening;
    if (found[0] !== '\\' && !isDoubled) return closing.lastIndex;
    closing.lastIndex += 1;
  }
  return sql.length;
}
