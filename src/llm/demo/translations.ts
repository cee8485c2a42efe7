import type { Phrases } from './phrases.js';

export const german: Phrases = {
  smallWords:
    'der die das ein eine einen ist sind war was warum wie wer wann wo und oder nicht bitte schreibe für mit ich mein viele',
  intros: [
    [
      'Ich bin das Demo-Modell dieses Dienstes: ein kleines eingebautes Programm und kein Sprachmodell.',
      'Für echte Antworten muss OPENAI_API_KEY oder OPENAI_BASE_URL gesetzt werden.',
    ],
    ['Das ist eine Demo-Antwort; für eine echte muss OPENAI_API_KEY gesetzt werden.'],
    ['Das ist nur eine Demo.'],
  ],
  wrote: (text) => `Ihre Nachricht lautet "${text}".`,
  begins: (text) => `Ihre Nachricht beginnt mit "${text}".`,
  asked: (question) => `Ihre Frage war "${question}".`,
  wordCount: (count) => `Ihre Nachricht hat ${count} ${count === 1 ? 'Wort' : 'Wörter'}.`,
  conversation: (number, previous) =>
    `Es ist Ihre Nachricht Nummer ${number} in diesem Gespräch; die vorige begann mit "${previous}".`,
  nameKnown: (name) => `Sie haben mir gesagt, dass Sie ${name} heißen.`,
  nameUnknown: 'Ihren Namen haben Sie mir nicht gesagt.',
  images: 'Sie haben ein Bild angehängt; ich kann keine Bilder sehen.',
  file: (name, count, first) =>
    first > 1
      ? `Von der Datei ${name} habe ich ${count} ${count === 1 ? 'Zeile' : 'Zeilen'} ab Zeile ${first}.`
      : `Die Datei ${name} hat ${count} ${count === 1 ? 'Zeile' : 'Zeilen'}.`,
  closestLine: (name, number, text) => `Zeile ${number} von ${name} passt zu Ihrer Nachricht: "${text}".`,
  toolAnswer: (name) => `Das Werkzeug ${name} hat geantwortet:`,
  toolError: (name) => `Das Werkzeug ${name} ist mit einem Fehler (error) gescheitert:`,
  toolMissing: (name) => `Das Werkzeug ${name} wird hier nicht angeboten.`,
  filler: (index) =>
    `Der Satz mit der Nummer ${index + 1} ist nur dazu da, diese Demo-Antwort länger zu machen.`,
  short: [],
};

export const french: Phrases = {
  smallWords:
    'le les une est sont que quoi pourquoi comment qui quand où et ou ne pas écris écrivez pour avec je mon vous des du combien',
  intros: [
    [
      'Je suis le modèle de démonstration de ce service : un petit programme intégré et non un modèle de langage.',
      'Pour obtenir de vraies réponses, il faut définir OPENAI_API_KEY ou OPENAI_BASE_URL.',
    ],
    ['Ceci est une réponse de démonstration ; il faut définir OPENAI_API_KEY pour en avoir une vraie.'],
    ["Ce n'est qu'une démonstration."],
  ],
  wrote: (text) => `Votre message est "${text}".`,
  begins: (text) => `Votre message commence par "${text}".`,
  asked: (question) => `Votre question était "${question}".`,
  wordCount: (count) => `Votre message compte ${count} ${count === 1 ? 'mot' : 'mots'}.`,
  conversation: (number, previous) =>
    `C'est votre message numéro ${number} dans cette conversation ; le précédent commençait par "${previous}".`,
  nameKnown: (name) => `Vous m'avez dit que vous vous appelez ${name}.`,
  nameUnknown: "Vous ne m'avez pas dit votre nom.",
  images: 'Vous avez joint une image ; je ne peux pas voir les images.',
  file: (name, count, first) =>
    first > 1
      ? `Du fichier ${name} vous avez donné ${count} ${count === 1 ? 'ligne' : 'lignes'} à partir de la ligne ${first}.`
      : `Le fichier ${name} contient ${count} ${count === 1 ? 'ligne' : 'lignes'}.`,
  closestLine: (name, number, text) =>
    `La ligne ${number} de ${name} est proche de votre message : "${text}".`,
  toolAnswer: (name) => `L'outil ${name} a répondu :`,
  toolError: (name) => `L'outil ${name} a échoué avec une erreur (error) :`,
  toolMissing: (name) => `L'outil ${name} n'est pas proposé ici.`,
  filler: (index) =>
    `La phrase numéro ${index + 1} ne sert qu'à rendre cette réponse de démonstration plus longue.`,
  short: [],
};

export const spanish: Phrases = {
  smallWords:
    'el los las una es son qué que por cómo quién cuándo dónde y no escribe escriba para con mi del al cuántas cuántos',
  intros: [
    [
      'Soy el modelo de demostración de este servicio: un pequeño programa integrado y no un modelo de lenguaje.',
      'Para obtener respuestas reales hay que definir OPENAI_API_KEY u OPENAI_BASE_URL.',
    ],
    ['Esta es una respuesta de demostración; hay que definir OPENAI_API_KEY para tener una real.'],
    ['Esto es solo una demostración.'],
  ],
  wrote: (text) => `Su mensaje es "${text}".`,
  begins: (text) => `Su mensaje empieza con "${text}".`,
  asked: (question) => `Su pregunta era "${question}".`,
  wordCount: (count) => `Su mensaje tiene ${count} ${count === 1 ? 'palabra' : 'palabras'}.`,
  conversation: (number, previous) =>
    `Es su mensaje número ${number} en esta conversación; el anterior empezaba con "${previous}".`,
  nameKnown: (name) => `Usted me dijo que se llama ${name}.`,
  nameUnknown: 'Usted no me ha dicho su nombre.',
  images: 'Usted adjuntó una imagen; no puedo ver imágenes.',
  file: (name, count, first) =>
    first > 1
      ? `Del archivo ${name} tengo ${count} ${count === 1 ? 'línea' : 'líneas'} desde la línea ${first}.`
      : `El archivo ${name} tiene ${count} ${count === 1 ? 'línea' : 'líneas'}.`,
  closestLine: (name, number, text) => `La línea ${number} de ${name} se parece a su mensaje: "${text}".`,
  toolAnswer: (name) => `La herramienta ${name} respondió:`,
  toolError: (name) => `La herramienta ${name} falló con un error:`,
  toolMissing: (name) => `La herramienta ${name} no se ofrece aquí.`,
  filler: (index) =>
    `La frase número ${index + 1} solo sirve para que esta respuesta de demostración sea más larga.`,
  short: [],
};

export const italian: Phrases = {
  smallWords:
    'il lo gli una è sono che cosa perché come chi quando dove e non scrivi scriva per con mio della nel quante quanti',
  intros: [
    [
      'Sono il modello dimostrativo di questo servizio: un piccolo programma integrato e non un modello linguistico.',
      'Per avere risposte vere bisogna impostare OPENAI_API_KEY o OPENAI_BASE_URL.',
    ],
    ['Questa è una risposta dimostrativa; bisogna impostare OPENAI_API_KEY per averne una vera.'],
    ['Questa è solo una dimostrazione.'],
  ],
  wrote: (text) => `Il suo messaggio è "${text}".`,
  begins: (text) => `Il suo messaggio inizia con "${text}".`,
  asked: (question) => `La sua domanda era "${question}".`,
  wordCount: (count) => `Il suo messaggio ha ${count} ${count === 1 ? 'parola' : 'parole'}.`,
  conversation: (number, previous) =>
    `È il suo messaggio numero ${number} in questa conversazione; il precedente iniziava con "${previous}".`,
  nameKnown: (name) => `Lei mi ha detto che si chiama ${name}.`,
  nameUnknown: 'Lei non mi ha detto il suo nome.',
  images: "Lei ha allegato un'immagine; non posso vedere le immagini.",
  file: (name, count, first) =>
    first > 1
      ? `Del file ${name} ho ${count} ${count === 1 ? 'riga' : 'righe'} dalla riga ${first}.`
      : `Il file ${name} ha ${count} ${count === 1 ? 'riga' : 'righe'}.`,
  closestLine: (name, number, text) => `La riga ${number} di ${name} è vicina al suo messaggio: "${text}".`,
  toolAnswer: (name) => `Lo strumento ${name} ha risposto:`,
  toolError: (name) => `Lo strumento ${name} è fallito con un errore (error):`,
  toolMissing: (name) => `Lo strumento ${name} non è offerto qui.`,
  filler: (index) =>
    `La frase numero ${index + 1} serve solo a rendere più lunga questa risposta dimostrativa.`,
  short: [],
};
