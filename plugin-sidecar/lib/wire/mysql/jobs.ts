/**
 * What is to be done with a command: answered here, or sent to the database, and what is known of its answer. It runs in
 * sidecars.
 */
import { CartonError } from '../../../../lib/support/errors';
import { LIMITS } from '../../../../lib/support/limits';
import { type Backend } from './backend';
import { type Command } from './commands';
import { COMMAND, HEADER_BYTES, STATUS, errorPacket, okPacket, statementCommand } from './protocol';
import { hasCursor, ID_AT, saysTypes, type Prepared } from './prepared';
import { type Outcome, type Shape } from './response';
import { type Session } from './session';
import { BINDING, NO_EFFECTS, effectsOf, type Effects } from './statement';

/** A command for the database. */
export interface Job {
  readonly command: Command;
  /** Undefined: it has no answer. */
  readonly shape: Shape | undefined;
  readonly effects: Effects;
  /** The statement that is to be prepared. */
  readonly sql?: string;
  /** The statement that it is about; its number in the command is the session's. */
  readonly prepared?: Prepared;
  readonly done?: (outcome: Outcome, backend: Backend) => void;
}

/** A packet is the answer. */
export type Work = Job | Buffer | 'quit' | 'reset' | 'nothing';

export interface Context {
  readonly session: Session;
  readonly database: unknown;
}

export function jobOf(command: Command, context: Context): Work {
  const { bytes } = command;
  const { session } = context;
  switch (bytes[HEADER_BYTES]) {
    case COMMAND.query: return query(command, session);
    case COMMAND.execute: return execute(command, session);
    case COMMAND.prepare: return prepare(command, session);
    case COMMAND.closeStatement: return close(command, session);
    case COMMAND.longData: return longData(command, session);
    case COMMAND.resetStatement: return resetStatement(command, session);
    case COMMAND.fetch: return fetch(command, session);
    case COMMAND.ping: return okPacket(1, session.status);
    case COMMAND.quit: return 'quit';
    case COMMAND.resetConnection: return 'reset';
    case COMMAND.initDb: return initDb(command, context);
    case COMMAND.fieldList: return { command, shape: 'fields', effects: NO_EFFECTS };
    case COMMAND.statistics: return { command, shape: 'one', effects: NO_EFFECTS };
    default: return unsupported(`command ${String(bytes[HEADER_BYTES])}`);
  }
}

function query(command: Command, session: Session): Work {
  const effects = effectsOf(command.bytes.toString('latin1', HEADER_BYTES + 1), session.mayBeMany);
  // The number that a session knows is that of its connection to the sidecar; at the database it is somebody else's.
  return effects.kills ? unsupported('KILL') : { command, shape: 'results', effects };
}

function initDb(command: Command, { session, database }: Context): Work {
  if (!session.isPinned && command.bytes.toString('utf8', HEADER_BYTES + 1) === database) return okPacket(1, session.status);
  return { command, shape: 'one', effects: BINDING };
}

function prepare(command: Command, session: Session): Work {
  if (!command.isWhole) return unsupported('COM_STMT_PREPARE', `a statement of ${LIMITS.wireCommandBytes} bytes at most`);
  if (session.statements.isFull) return unsupported('COM_STMT_PREPARE', `at most ${LIMITS.wireStatements} open statements`);
  return { command, shape: 'prepared', effects: NO_EFFECTS, sql: command.bytes.toString('latin1', HEADER_BYTES + 1) };
}

function execute(command: Command, session: Session): Work {
  const { bytes } = command;
  const id = idOf(bytes);
  const prepared = session.statements.get(id);
  if (prepared === undefined || bytes.length < ID_AT + 9) return unknown(id);
  if (prepared.text.effects.kills) return unsupported('KILL');
  if (!session.open.has(id) && !saysTypes(bytes, prepared.parameters)) return unsupported('COM_STMT_EXECUTE', 'the types of its parameters');
  if (isTwin(id, prepared, session)) return unsupported('COM_STMT_EXECUTE', 'one cursor for each text of a statement');
  const wantsCursor = hasCursor(bytes);
  const { effects } = prepared.text;
  return {
    command,
    shape: 'results',
    prepared,
    // What it sets cannot be run again: its values are not in its text.
    effects: effects.setting === undefined ? effects : BINDING,
    done: ({ failed, status = 0 }) => {
      if (wantsCursor && !failed && (status & STATUS.cursorExists) !== 0 && (status & STATUS.lastRowSent) === 0) session.open.add(id);
      else session.open.delete(id);
    },
  };
}

/** Statements of one text are one at the database: two of them cannot both have something there. */
function isTwin(id: number, { text }: Prepared, { open, statements }: Session): boolean {
  for (const other of open) if (other !== id && statements.get(other)?.text === text) return true;
  return false;
}

function longData(command: Command, session: Session): Work {
  const id = idOf(command.bytes);
  const prepared = session.statements.get(id);
  // There is no answer to it; the execution will have one.
  if (prepared === undefined || isTwin(id, prepared, session)) return command.isWhole ? 'nothing' : 'quit';
  return { command, shape: undefined, prepared, effects: NO_EFFECTS, done: () => void session.open.add(id) };
}

function fetch(command: Command, session: Session): Work {
  const id = idOf(command.bytes);
  const prepared = session.statements.get(id);
  if (prepared === undefined || !session.open.has(id)) return unknown(id);
  const done = ({ failed, status = 0 }: Outcome): void => {
    if (failed || (status & STATUS.lastRowSent) !== 0) session.open.delete(id);
  };
  return { command, shape: 'rows', prepared, effects: NO_EFFECTS, done };
}

function resetStatement(command: Command, session: Session): Work {
  const id = idOf(command.bytes);
  const prepared = session.statements.get(id);
  if (prepared === undefined) return unknown(id);
  if (!session.open.has(id)) return okPacket(1, session.status);
  return { command, shape: 'one', prepared, effects: NO_EFFECTS, done: () => void session.open.delete(id) };
}

/** The connection keeps it for others, unless it has something of this session. */
function close(command: Command, session: Session): Work {
  const id = idOf(command.bytes);
  const prepared = session.statements.get(id);
  if (prepared === undefined || !session.open.has(id)) {
    session.statements.close(id);
    return 'nothing';
  }
  const done = (_: Outcome, backend: Backend): void => {
    session.open.delete(id);
    session.statements.close(id);
    backend.statements.forget(prepared.text.sql);
  };
  return { command: { bytes: statementCommand(COMMAND.closeStatement, id), isWhole: true }, shape: undefined, prepared, effects: NO_EFFECTS, done };
}

function idOf(bytes: Buffer): number {
  return bytes.length < ID_AT + 4 ? 0 : bytes.readUInt32LE(ID_AT);
}

function unknown(id: number): Buffer {
  return errorPacket(1, new CartonError('CARTON_SIDECAR_WIRE_PROTOCOL', { expected: 'the number of an open statement', got: `${id}` }));
}

function unsupported(of: string, expected?: string): Buffer {
  return errorPacket(1, new CartonError('CARTON_SIDECAR_WIRE_UNSUPPORTED', { of, expected }));
}
