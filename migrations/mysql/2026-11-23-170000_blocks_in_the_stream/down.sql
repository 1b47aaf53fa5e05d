DROP INDEX relations_by_block ON relations;
