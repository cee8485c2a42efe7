import type { ToolResultMessage } from '../../core/message.js';
import { type EvaluationInput, type Finding, failed, passed } from './finding.js';

const name = 'tool_errors_acknowledged';

/** A word by which an answer lets the reader know that something did not work. */
const acknowledges =
  /(?<![\p{L}])(?:err\p{L}*|fail\p{L}*|unable|could ?n[o'’]t|couldn['’]t|can ?not|can['’]t|did ?n[o'’]t|didn['’]t|was ?n[o'’]t|wasn['’]t|not|no|without|unfortunately|sorry|however|but|problem\p{L}*|issue\p{L}*|invalid|timed? ?out|unavailable|denied|reject\p{L}*|refus\p{L}*|unsuccess\p{L}*|instead|fehl\p{L}*|nicht|kein\p{L}*|leider|problem\p{L}*|ungültig|abgelehnt|gescheitert|misslungen|jedoch|aber|stattdessen|fall\p{L}*|no|lamentablemente|desgraciadamente|problema\p{L}*|inválid\p{L}*|imposible|rechaz\p{L}*|pero|échou\p{L}*|échec|erreurs?|pas|malheureusement|problème\p{L}*|impossible|invalide|refus\p{L}*|mais|toutefois)(?![\p{L}])/iu;

const deeds =
  'creat|sent|send|sav|stor|updat|delet|remov|add|upload|download|publish|post|schedul|book|order|register|record|install|deploy|start|stop|restart|writ|wrote|mov|renam|copi|cop|submit|cancel|complet|process|run|ran|execut|fetch|apply|appli|set|clos|open|merg|notif|email|mail';

const claims = new RegExp(
  [
    String.raw`(?<![\p{L}])(?:successfully|all set|all done|it['’]s done)(?![\p{L}])`,
    String.raw`^[^\p{L}\n]{0,20}done(?![\p{L}])`,
    String.raw`(?<![\p{L}])(?:i|we)(?:['’]ve| have)?(?: just| now| already)? (?:${deeds})(?:e?d|ten|te|t)?(?![\p{L}])`,
    String.raw`(?<![\p{L}])(?:has|have) (?:now |just )?been (?:${deeds})(?:e?d|ten|t)?(?![\p{L}])`,
    String.raw`(?<![\p{L}])erfolgreich(?![\p{L}])|^[^\p{L}\n]{0,20}(?:fertig|erledigt)(?![\p{L}])|(?<![\p{L}])(?:ich habe|wurden?|ist|sind)(?![\p{L}])[^.!?\n]{1,80}(?<![\p{L}])(?:erstellt|gesendet|verschickt|gespeichert|aktualisiert|gelöscht|entfernt|hinzugefügt|hochgeladen|angelegt|gebucht|installiert|gestartet|ausgeführt)(?![\p{L}])`,
    String.raw`(?<![\p{L}])(?:con éxito|correctamente|exitosamente)(?![\p{L}])|^[^\p{L}\n]{0,20}(?:listo|hecho)(?![\p{L}])|(?<![\p{L}])(?:he|hemos|ha sido|se ha) (?:cread|enviad|guardad|actualizad|eliminad|borrad|añadid|subid|reservad|registrad|instalad)[oa]s?(?![\p{L}])`,
    String.raw`(?<![\p{L}])avec succès(?![\p{L}])|^[^\p{L}\n]{0,20}(?:c['’]est fait|terminé)(?![\p{L}])|(?<![\p{L}])(?:j['’]ai|nous avons|a été|ont été) (?:bien )?(?:créé|envoyé|enregistré|sauvegardé|mis à jour|supprimé|ajouté|téléchargé|réservé|installé|lancé)e?s?(?![\p{L}])`,
  ].join('|'),
  'imu',
);

/**
 * Whether an answer claims success after the last tool calls have all failed and says nothing of it. A tool that worked
 * beside the failed one may be what the claim is about.
 */
export function checkToolErrors({ answer, turns }: EvaluationInput): Finding[] {
  const last = lastResults(turns);
  const broken = [...new Set(last.filter((result) => result.isError).map((result) => result.toolName))];
  if (broken.length === 0) return [];
  const isIgnored =
    last.every((result) => result.isError) && claims.test(answer) && !acknowledges.test(answer);
  if (!isIgnored) return [passed(name, 'no failed tool is passed over')];
  const list = broken.join(', ');
  return [
    failed(
      name,
      `the answer claims success, but ${list} failed`,
      `The tool ${list} failed. Say so instead of claiming that it worked.`,
    ),
  ];
}

/** The results of the last turn that called tools. */
function lastResults(turns: EvaluationInput['turns']): ToolResultMessage[] {
  const end = turns.findLastIndex((turn) => turn.role === 'toolResult');
  const start = turns.slice(0, end + 1).findLastIndex((turn) => turn.role !== 'toolResult');
  return turns.slice(start + 1, end + 1).filter((turn) => turn.role === 'toolResult');
}
