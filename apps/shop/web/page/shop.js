// The page's whole program: what there is, what was ordered, and a button that orders. Texts are set as text, never as HTML.
"use strict";

const at = (id) => document.getElementById(id);
const money = (cents) => `€ ${(cents / 100).toFixed(2)}`;

async function ask(path, options) {
  const answer = await fetch(`api/${path}`, options);
  const said = await answer.json().catch(() => ({ error: "The shop is closed for a moment." }));
  if (!answer.ok) throw new Error(said.error);
  return said;
}

function say(text) {
  at("notice").textContent = text;
  at("notice").hidden = !text;
}

function card(product) {
  const made = at("product").content.cloneNode(true);
  made.querySelector(".name").textContent = product.name;
  made.querySelector(".what").textContent = product.what;
  made.querySelector(".price").textContent = money(product.price);
  made.querySelector(".stock").textContent = product.stock ? `${product.stock} left` : "sold out";
  const button = made.querySelector("button");
  button.disabled = product.stock === 0;
  button.setAttribute("aria-label", `Order one ${product.name}`);
  button.addEventListener("click", () => order(product, button));
  return made;
}

async function order(product, button) {
  button.disabled = true;
  try {
    const body = JSON.stringify({ product: product.id, quantity: 1 });
    const made = await ask("orders", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    say(`Order ${made.order}: one ${product.name}. Thank you!`);
  } catch (error) {
    say(error.message);
  }
  await show();
}

async function show() {
  try {
    const [{ products }, { orders }, about] = await Promise.all([ask("products"), ask("orders"), ask("about")]);
    at("products").replaceChildren(...products.map(card));
    at("orders").replaceChildren(...orders.map((item) => {
      const line = document.createElement("li");
      line.value = item.id;
      line.textContent = `${item.quantity} × ${item.product}, ${item.at}`;
      return line;
    }));
    at("about").textContent = `Answered by ${about.instance}, version ${about.version}, on ${about.database}.`;
  } catch (error) {
    say(error.message);
  }
}

show();
