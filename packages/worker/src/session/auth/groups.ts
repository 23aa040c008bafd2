import { groupNames, type HbaGroups, PgDogError } from '@pgdog-cluster/core';
import type { Session } from '../session.js';
import { askAboutUser } from './ask-supervisor.js';

const NONE: ReadonlySet<string> = new Set();

/** What is known here of the user's groups. The users of the admin database are no roles of any server. */
export function groupsOf({ context, database, user, isAdmin }: Session): HbaGroups {
  if (isAdmin) return NONE;
  const { directory } = context;
  const known = directory.groups(database, user, context.nowMs);
  if (known !== undefined) return known;
  return directory.termsOf(database)?.hasAuthQuery === true ? 'unasked' : 'unanswerable';
}

/**
 * Has the server say of which roles the user is a member. `onDone` gets that, or the error for the client: to go on
 * without an answer would let somebody in by a later rule, whom an earlier one is there to stop.
 */
export function askForGroups(session: Session, onDone: (answer: HbaGroups | PgDogError) => void): void {
  const { context, database, user } = session;
  const names = groupNames(context.config.hba ?? [], database);
  const { epoch } = context.config;
  const onReply = ({ groups, freshUntilMs }: { groups: string[] | null; freshUntilMs: number }): void => {
    if (groups === null) {
      onDone(new PgDogError('groups_unknown'));
      return;
    }
    // Rules that have been replaced meanwhile asked about other roles.
    if (context.config.epoch !== epoch) {
      askForGroups(session, onDone);
      return;
    }
    const answer: ReadonlySet<string> = new Set(groups);
    context.directory.noteGroups(database, user, { groups: answer, freshUntilMs });
    onDone(answer);
  };
  askAboutUser(session, 'groups', onReply, { names });
}
