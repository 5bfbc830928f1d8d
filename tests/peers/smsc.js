// An SMSC of another make: the npm package "smpp". Prints one JSON line per event, takes one JSON line per order.
//
// Events: {event: "listening", port}, "bound", "refused", "submit" (with its fields), "answered" (a deliver_sm's
// answer), "closed". Orders: {order: "deliver", ...fields}, {order: "cut"}, {order: "unbind"}.
// Every submit_sm is answered; when a receipt is asked for it follows, or comes first where the recipient ends in 99.
// A recipient that ends in 7777 is refused as ESME_RTHROTTLED ("throttled").
"use strict";
const readline = require("readline");
const smpp = require("smpp");

const [systemId, password] = process.argv.slice(2);
const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
let number = 0xabc0;
let bound = null;

function receipt(session, pdu, id) {
  session.deliver_sm({
    source_addr: pdu.destination_addr,
    destination_addr: pdu.source_addr,
    esm_class: 4,
    short_message: Buffer.from(`id:${parseInt(id, 16)} sub:001 dlvrd:001 stat:DELIVRD err:000 text:`),
    receipted_message_id: id,
    message_state: 2,
  });
}

function submit(session, pdu) {
  if (pdu.destination_addr.endsWith("7777")) {
    say("throttled");
    session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    return;
  }
  const id = (number++).toString(16).toUpperCase();
  const content = pdu.short_message.message;
  const payload = pdu.message_payload && pdu.message_payload.message;
  say("submit", {
    id,
    from: pdu.source_addr,
    to: pdu.destination_addr,
    data_coding: pdu.data_coding,
    esm_class: pdu.esm_class,
    udh: pdu.short_message.udh ? Buffer.concat(pdu.short_message.udh).toString("hex") : null,
    content: Buffer.isBuffer(content) ? content.toString("hex") : content,
    payload: Buffer.isBuffer(payload) ? payload.toString("hex") : payload,
  });
  const early = pdu.destination_addr.endsWith("99");
  if (early) receipt(session, pdu, id);
  session.send(pdu.response({ message_id: id }));
  if (!early && pdu.registered_delivery) receipt(session, pdu, id);
}

const server = smpp.createServer((session) => {
  session.on("error", () => session.destroy());
  session.on("close", () => say("closed"));
  session.on("bind_transceiver", (pdu) => {
    if (pdu.system_id !== systemId || pdu.password !== password) {
      say("refused");
      session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
      session.close();
      return;
    }
    bound = session;
    session.send(pdu.response({ system_id: "npm" }));
    say("bound", { system_id: pdu.system_id, interface_version: pdu.interface_version });
  });
  session.on("submit_sm", (pdu) => submit(session, pdu));
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("unbind", (pdu) => {
    say("unbind");
    session.send(pdu.response());
    session.close();
  });
});

function obey(order) {
  if (order.order === "cut") bound.destroy();
  else if (order.order === "unbind") bound.unbind();
  else {
    const content = Buffer.from(order.content, "hex");
    const udh = order.udh ? Buffer.from(order.udh, "hex") : undefined;
    bound.deliver_sm(
      {
        source_addr: order.from,
        destination_addr: order.to,
        data_coding: order.data_coding,
        esm_class: udh ? 0x40 : 0,
        short_message: udh ? { udh, message: content } : content,
      },
      (answer) => say("answered", { status: answer.command_status }),
    );
  }
}

server.listen(0, "127.0.0.1", () => say("listening", { port: server.address().port }));
readline.createInterface({ input: process.stdin }).on("line", (line) => obey(JSON.parse(line)));
process.stdin.on("end", () => process.exit(0));
