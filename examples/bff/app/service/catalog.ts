/**
 * Products as pages show them: the catalog joined with prices and stock, which
 * are services of their own and which a page can do without.
 */

import { Service } from 'egg';
import type { ProductQuery } from '../../lib/forms';
import type { Page, Price, Product, ProductView, Stock } from '../../lib/types';

declare module 'egg' {
  interface IService {
    catalog: CatalogService;
  }
}

export default class CatalogService extends Service {
  async list(query: ProductQuery): Promise<Page<ProductView>> {
    const { category, text, page, size } = query;
    const products = await this.ctx.service.upstream.get<Page<Product>>('/catalog/products', { category, q: text, page, size });
    return { ...products, items: await this.withPriceAndStock(products.items) };
  }

  async detail(id: string): Promise<ProductView> {
    const { upstream } = this.ctx.service;
    const query = { ids: id };
    const [product, prices, stocks] = await Promise.all([
      upstream.get<Product>(`/catalog/products/${encodeURIComponent(id)}`),
      upstream.getOptional<Price[], []>('/prices', query, []),
      upstream.getOptional<Stock[], []>('/stock', query, []),
    ]);
    return { ...product, price: prices[0] ?? null, available: stocks[0]?.available ?? null };
  }

  private async withPriceAndStock(products: Product[]): Promise<ProductView[]> {
    if (products.length === 0) return [];
    const { upstream } = this.ctx.service;
    const query = { ids: products.map(product => product.id).join(',') };
    const [prices, stocks] = await Promise.all([
      upstream.getOptional<Price[], []>('/prices', query, []),
      upstream.getOptional<Stock[], []>('/stock', query, []),
    ]);
    const priceOf = new Map(prices.map(price => [price.productId, price]));
    const stockOf = new Map(stocks.map(stock => [stock.productId, stock.available]));
    return products.map(product => {
      return { ...product, price: priceOf.get(product.id) ?? null, available: stockOf.get(product.id) ?? null };
    });
  }
}
